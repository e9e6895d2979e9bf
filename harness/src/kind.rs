//! A cluster of one node by kind, with the webhook deployed in it and wired into its apiserver.

mod config;
mod deployment;
mod error;
mod node;
mod plan;
mod shared;
mod static_pod;
mod wiring;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokenlab_webhook::Token;
use tokenlab_webhook::pki::CertificateAuthority;

use crate::assets::{Assets, Wanted};
use crate::docker::{Docker, DockerError, Owned};
use crate::image::Image;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::kubectl::Kubectl;
use crate::manifests::Manifests;
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::tool::{Tool, ToolError};
use crate::wait::{Poll, Probe, WaitError, until};

pub use deployment::DeploymentError;
pub use error::KindError;
use node::Node;
pub use static_pod::ManifestError;
use wiring::Wiring;
pub use wiring::{NODE_CONFIG_FILE, Wired, WiringError};

/// The webhook's address in the cluster: in that part of kind's service range (10.96.0.0/16)
/// which the apiserver keeps for addresses that are asked for (Kubernetes, "Service ClusterIP
/// allocation").
const CLUSTER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 96));

/// When the webhook's flag is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Wire {
    /// In the manifest of the running apiserver, once the webhook answers: the tutorial's way
    #[default]
    Patch,
    /// When the cluster is created: no restart, and no webhook yet
    Create,
}

/// What a cluster shall be.
#[derive(Debug)]
#[must_use]
pub struct KindBuilder {
    wanted: Wanted,
    wire: Wire,
    progress: Progress,
}

/// Everything that a cluster is made of, and no cluster yet.
#[derive(Debug)]
pub struct KindPlan {
    assets: Assets,
    kind: Tool,
    image: String,
    docker: Docker,
    name: String,
    wire: Wire,
    authority: CertificateAuthority,
    manifests: Manifests,
    folder: RunFolder,
    progress: Progress,
}

/// A running cluster. Dropped, it goes.
#[derive(Debug)]
pub struct KindLab {
    // Dropped in this order: a network goes when nothing is attached to it.
    node: Node,
    network: Owned,
    admin: Kubeconfig,
    plan: KindPlan,
}

impl KindLab {
    /// A cluster with every default: the mock on Kubernetes' default series.
    pub fn builder() -> KindBuilder {
        KindBuilder {
            wanted: Wanted::Default,
            wire: Wire::default(),
            progress: Progress::hidden(),
        }
    }

    /// What it was made of.
    pub fn plan(&self) -> &KindPlan {
        &self.plan
    }

    /// Loads an image into the node, by an archive: what `kind load docker-image` does breaks
    /// with Docker 29 and newer (kind#3795).
    pub async fn load(&self, image: &Image) -> Result<(), KindError> {
        let plan = &self.plan;
        let path = plan.folder.file("image.tar");
        std::fs::write(&path, image.archive()).map_err(|source| KindError::Write {
            path: path.clone(),
            source,
        })?;
        let args = ["load", "image-archive", path.as_str(), "--name", &plan.name];
        let load = plan.kind.run(&args);
        let title = format!("loading {} into the node", image.name());
        plan.progress.step(&title, load).await?;
        Ok(())
    }

    /// Applies the webhook's objects, and waits until the node itself is answered by it: the
    /// apiserver does not try again when a connection is refused. Returns the answer.
    pub async fn deploy(&self) -> Result<String, KindError> {
        let plan = &self.plan;
        let certificate = plan.manifests.certificate(&plan.authority)?;
        let yaml = plan.manifests.yaml(&certificate);
        let file = plan.folder.write("authn-webhook-deploy.yml", &yaml)?;
        let output = self.kubectl()?.run(["apply", "-f", file.as_str()]).await?;
        if !output.status.success() {
            return Err(KindError::Apply(Box::new(output)));
        }
        let client = self.client().await?;
        let come = async {
            deployment::available(&client, &plan.manifests).await?;
            self.reach().await
        };
        plan.progress
            .step("waiting until the webhook answers the node", come)
            .await
    }

    /// Posts a TokenReview to the webhook from the node, as the apiserver will.
    async fn reach(&self) -> Result<String, KindError> {
        const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"is anybody there?"}}"#;
        const CA: &str = "/etc/kubernetes/tokenlab/webhook-ca.crt";
        const POLL: Poll = Poll {
            every: Duration::from_millis(100),
            within: Duration::from_secs(30),
        };
        let plan = &self.plan;
        self.node
            .write(CA, plan.authority.certificate_pem())
            .await?;
        let name = plan.manifests.server_name();
        let resolve = format!("{name}:443:{CLUSTER_IP}");
        let url = format!("https://{name}{}", tokenlab_webhook::PATH);
        #[rustfmt::skip]
        let args = [
            "curl", "--silent", "--show-error", "--fail", "--max-time", "5", "--noproxy", "*",
            "--cacert", CA, "--resolve", &resolve, "--header", "Content-Type: application/json",
            "--data", REVIEW, &url,
        ];
        let look = async || match self.node.run(&args).await {
            Ok(answer) => Probe::Ready(answer),
            Err(DockerError::Tool(error @ ToolError::Failed { .. })) => {
                Probe::NotYet(error.said().to_owned().into())
            }
            Err(error) => Probe::Fatal(error),
        };
        match until("the node reaches the webhook", POLL, look).await {
            Ok(answer) => Ok(answer),
            Err(WaitError::Fatal(error)) => Err(error.into()),
            Err(error @ WaitError::TimedOut { .. }) => Err(KindError::Unreachable {
                seen: error.to_string(),
            }),
        }
    }

    /// Wires the webhook into the running apiserver, unless it is wired in already.
    pub async fn wire(&self) -> Result<Wired, KindError> {
        self.wire_by(&self.plan.webhook_config()).await
    }

    /// The same by another file. When the apiserver does not start with it, all is as it was.
    pub async fn wire_by(&self, config: &str) -> Result<Wired, KindError> {
        let set = async { self.wiring().set(config).await };
        let title = "restarting kube-apiserver with the webhook's flag";
        Ok(self.plan.progress.step(title, set).await?)
    }

    /// Takes the flag back.
    pub async fn unwire(&self) -> Result<Wired, KindError> {
        let undo = async { self.wiring().undo().await };
        let title = "restarting kube-apiserver as it was";
        Ok(self.plan.progress.step(title, undo).await?)
    }

    fn wiring(&self) -> Wiring<'_> {
        Wiring {
            node: &self.node,
            admin: &self.admin,
            poll: wiring::POLL,
        }
    }

    /// Runs a command in the node, and returns its standard output.
    pub async fn in_node(&self, args: &[&str]) -> Result<String, KindError> {
        Ok(self.node.run(args).await?)
    }

    /// Writes a file into the node, readable by root alone, in one step.
    pub async fn write(&self, path: &str, text: &str) -> Result<(), KindError> {
        Ok(self.node.write(path, text).await?)
    }

    /// kubectl as the admin.
    pub fn kubectl(&self) -> Result<Kubectl, KindError> {
        self.kubectl_with("admin", &self.admin)
    }

    /// kubectl with this token, and nothing else that would tell who it is.
    pub fn kubectl_as(&self, token: &Token) -> Result<Kubectl, KindError> {
        self.kubectl_with("token", &self.token_user(token))
    }

    fn kubectl_with(&self, name: &str, kubeconfig: &Kubeconfig) -> Result<Kubectl, KindError> {
        let program = &self.plan.assets.kubectl;
        Ok(Kubectl::new(program, &self.plan.folder, name, kubeconfig)?)
    }

    /// A `kube` client as the admin.
    pub async fn client(&self) -> Result<kube::Client, KindError> {
        let client = self.admin.client().await;
        client.map_err(|error| KindError::Client(Box::new(error)))
    }

    /// A `kube` client with this token.
    pub async fn client_as(&self, token: &Token) -> Result<kube::Client, KindError> {
        let client = self.token_user(token).client().await;
        client.map_err(|error| KindError::Client(Box::new(error)))
    }

    /// The kubeconfig of a user who shows this token.
    pub fn token_user(&self, token: &Token) -> Kubeconfig {
        Kubeconfig {
            user: "webhook-test".to_owned(),
            identity: Identity::Token(token.clone()),
            ..self.admin.clone()
        }
    }

    /// Keeps the run folder, with the logs of the node in it, and says so on standard error.
    pub async fn keep(&self) {
        self.plan.collect_logs().await;
    }

    /// Ends it all.
    pub async fn stop(self) {
        let Self {
            node,
            network,
            admin: _,
            plan,
        } = self;
        node.container.remove().await;
        network.remove().await;
        drop(plan);
    }
}
