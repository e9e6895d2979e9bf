//! A real cluster with the webhook deployed in it and wired into its apiserver.

pub(crate) mod deployment;
mod distribution;
mod error;
mod foreign;
mod observed;
mod plan;
mod reach;
mod shared;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokenlab_webhook::Token;
use tokenlab_webhook::manifests::Credentials;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::sync::{Mutex, OnceCell};

use crate::assets::{Assets, Wanted};
use crate::backend::Backend;
use crate::docker::{Docker, Owned};
use crate::image::Image;
use crate::k3s::{Beside, Loaded};
use crate::kubeconfig::{self, Identity, Kubeconfig};
use crate::kubectl::Kubectl;
use crate::lab::{CONFIG_FILE, CONFIG_FILE_FLAG};
use crate::manifests::Manifests;
use crate::node::Node;
use crate::progress::Progress;
use crate::run_folder::{RunFolder, RunFolderError};

pub use deployment::DeploymentError;
use distribution::Distribution;
pub use error::ClusterError;
pub use foreign::ClusterWebhook;
pub use reach::{Reach, ServiceAddress, ServiceAddressError};

/// When the webhook's flag is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// In the running apiserver, once the webhook answers: the tutorial's way
    #[default]
    Patch,
    /// When the cluster is created: no restart, and no webhook yet
    Create,
}

/// What a cluster shall be.
#[derive(Debug)]
#[must_use]
pub struct ClusterBuilder {
    backend: Backend,
    wanted: Wanted,
    wire: Wire,
    reach: Reach,
    address: ServiceAddress,
    agent: bool,
    webhook: Option<ClusterWebhook>,
    progress: Progress,
}

/// Everything that a cluster is made of, and no cluster yet.
#[derive(Debug)]
pub struct ClusterPlan {
    pub(crate) assets: Assets,
    distribution: Distribution,
    pub(crate) docker: Docker,
    pub(crate) name: String,
    pub(crate) wire: Wire,
    reach: Reach,
    address: Option<IpAddr>,
    authority: CertificateAuthority,
    /// Who the apiserver is to the webhook; made once, or each file would be another one.
    apiserver: Identity,
    webhook: Option<Box<ClusterWebhook>>,
    manifests: Box<Manifests>,
    pub(crate) folder: RunFolder,
    progress: Progress,
}

/// A running cluster. Dropped, it goes.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: a network goes when nothing is attached to it.
    webhook: Mutex<Deployed>,
    /// Held by whoever changes the apiserver: two at once would take back each other's.
    change: Mutex<()>,
    /// What was handed out, and must stand in no diagnostics.
    tokens: StdMutex<Vec<Token>>,
    node: Node,
    network: Owned,
    admin: Kubeconfig,
    /// The address of the webhook's Service, once it is known.
    address: OnceCell<IpAddr>,
    plan: ClusterPlan,
}

/// The webhook, where there is one.
#[derive(Debug, Default)]
struct Deployed {
    /// It runs on the node.
    in_cluster: bool,
    /// It runs, or is about to, beside a control plane without a node.
    beside: Beside,
}

/// What shall be different in a running apiserver.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    /// The content of the file by which it reaches its webhook.
    pub(crate) config: Option<String>,
    /// Flags, without dashes; `None` takes one away.
    pub(crate) flags: Vec<(String, Option<String>)>,
    /// A name that shall resolve to this address.
    pub(crate) host: Option<(IpAddr, String)>,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wired {
    /// The apiserver was started anew.
    Changed,
    /// Everything was so already.
    Already,
}

impl Cluster {
    /// A cluster with every default: by kind, on Kubernetes' default series.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            backend: Backend::Kind,
            wanted: Wanted::Default,
            wire: Wire::default(),
            reach: Reach::default(),
            address: ServiceAddress::default(),
            agent: true,
            webhook: None,
            progress: Progress::hidden(),
        }
    }

    /// What it was made of.
    pub fn plan(&self) -> &ClusterPlan {
        &self.plan
    }

    /// Loads an image into the node, by an archive. Where there is no node, into the engine.
    pub async fn load(&self, image: &Image) -> Result<(), ClusterError> {
        let plan = &self.plan;
        if !plan.distribution.has_node() {
            let loaded = Loaded::load(plan, image).await?;
            let unused = self.webhook.lock().await.beside.next(loaded);
            if let Some(unused) = unused {
                unused.remove().await;
            }
            return Ok(());
        }
        let path = plan.folder.file("image.tar");
        std::fs::write(&path, image.archive()).map_err(|source| RunFolderError::Write {
            path: path.clone(),
            source,
        })?;
        let load = (plan.distribution).load(plan, &self.node, image.digest(), &path);
        let title = format!("loading {} into the node", image.name());
        plan.progress.step(&title, load).await
    }

    /// Applies the webhook's objects, and waits until the node itself is answered by it: the
    /// apiserver does not try again when a connection is refused. Returns the answer.
    ///
    /// Where there is no node it runs in a container of its own, which the control plane's must
    /// reach. A webhook that runs elsewhere is only asked.
    pub async fn deploy(&self) -> Result<String, ClusterError> {
        let plan = &self.plan;
        if let Some(elsewhere) = plan.elsewhere() {
            return self.reached_elsewhere(elsewhere).await;
        }
        let credentials = plan.manifests.credentials(&plan.authority)?;
        let mut webhook = self.webhook.lock().await;
        if !plan.distribution.has_node() {
            return self.deploy_beside(&mut webhook.beside, &credentials).await;
        }
        let yaml = plan.manifests.yaml(&credentials);
        let file = plan.folder.write("authn-webhook-deploy.yml", &yaml)?;
        let client = self.client().await?;
        deployment::try_again(&client, &plan.manifests).await?;
        let output = self.kubectl()?.run(["apply", "-f", file.as_str()]).await?;
        if !output.status.success() {
            return Err(ClusterError::Apply(Box::new(output)));
        }
        let come = async {
            deployment::available(&client, &plan.manifests).await?;
            let address = self
                .address
                .get_or_try_init(|| deployment::address(&client, &plan.manifests))
                .await?;
            self.reached(*address).await
        };
        let title = "waiting until the webhook answers the node";
        let answer = plan.progress.step(title, come).await?;
        webhook.in_cluster = true;
        Ok(answer)
    }

    async fn deploy_beside(
        &self,
        webhook: &mut Beside,
        credentials: &Credentials,
    ) -> Result<String, ClusterError> {
        let address = *self.address.get().ok_or(ClusterError::UnknownAddress)?;
        webhook.start(&self.plan, credentials, address).await?;
        match self.reached(address).await {
            Err(ClusterError::Unreachable { seen }) => {
                let log = webhook.log(&self.plan.docker).await.unwrap_or_default();
                let seen = format!("{seen}\nits log:\n{log}");
                Err(ClusterError::Unreachable { seen })
            }
            reached => reached,
        }
    }

    /// Wires the webhook into the running apiserver, unless it is wired in already.
    pub async fn wire(&self) -> Result<Wired, ClusterError> {
        let address = self.address.get().copied();
        let config = self.plan.config_for(address)?;
        // For people to look at: what the apiserver reads is in the node.
        self.plan.folder.write(CONFIG_FILE, &config)?;
        self.wire_by(config).await
    }

    /// The same by another file. When the apiserver does not start with it, all is as it was.
    pub async fn wire_by(&self, config: impl Into<String>) -> Result<Wired, ClusterError> {
        let file = self.plan.distribution.config_file();
        let patch = Patch {
            config: Some(config.into()),
            flags: vec![(CONFIG_FILE_FLAG.to_owned(), Some(file.to_owned()))],
            host: self.plan.host_for(self.address.get().copied())?,
        };
        let title = "restarting kube-apiserver with the webhook's flag";
        self.patch(title, &patch).await
    }

    /// Sets flags of the running apiserver (names without dashes; `None` takes one away), unless
    /// it has them already. When it does not start with them, all is as it was.
    pub async fn set_flags(&self, flags: &[(&str, Option<&str>)]) -> Result<Wired, ClusterError> {
        let owned =
            |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        let patch = Patch {
            flags: flags.iter().map(owned).collect(),
            ..Patch::default()
        };
        self.patch("restarting kube-apiserver with other flags", &patch)
            .await
    }

    /// The flags of the running apiserver, `--name=value` each, as its node tells them.
    pub async fn running_flags(&self) -> Result<Vec<String>, ClusterError> {
        self.plan.distribution.flags(&self.node).await
    }

    async fn patch(&self, title: &str, patch: &Patch) -> Result<Wired, ClusterError> {
        let Self {
            node, admin, plan, ..
        } = self;
        let _alone = self.change.lock().await;
        let patched = plan.distribution.patch(node, admin, patch);
        self.settled(plan.progress.step(title, patched).await).await
    }

    /// Where the node was started anew, the webhook must come back too, also after a failure.
    async fn settled(&self, outcome: Result<Wired, ClusterError>) -> Result<Wired, ClusterError> {
        let plan = &self.plan;
        let (in_cluster, beside) = {
            let webhook = self.webhook.lock().await;
            (webhook.in_cluster, webhook.beside.runs())
        };
        if !(in_cluster || beside) || !plan.distribution.restarts_the_node() {
            return outcome;
        }
        let Some(address) = self
            .address
            .get()
            .filter(|_| !matches!(outcome, Ok(Wired::Already)))
        else {
            return outcome;
        };
        let title = "waiting until the webhook answers the node again";
        let come = async {
            if in_cluster && let Some(since) = self.node.started().await? {
                deployment::back(&self.client().await?, &plan.manifests, &since).await;
            }
            self.reached(*address).await
        };
        let reached = plan.progress.step(title, come).await;
        let wired = outcome?;
        reached?;
        Ok(wired)
    }

    /// Takes back what [`wire`](Self::wire) did; what else was changed since stays. What the
    /// cluster was created with ([`Wire::Create`]) is none of it.
    pub async fn unwire(&self) -> Result<Wired, ClusterError> {
        let Self {
            node, admin, plan, ..
        } = self;
        let name = plan.manifests.server_name();
        let _alone = self.change.lock().await;
        let undo = plan.distribution.undo(node, admin, &name);
        let title = "restarting kube-apiserver as it was";
        self.settled(plan.progress.step(title, undo).await).await
    }

    /// Runs a command in the node, and returns its standard output.
    pub async fn in_node(&self, args: &[&str]) -> Result<String, ClusterError> {
        Ok(self.node.run(args).await?)
    }

    /// Writes a file into the node, readable by root alone, in one step.
    pub async fn write(&self, path: &str, text: &str) -> Result<(), ClusterError> {
        Ok(self.node.write(path, text).await?)
    }

    /// kubectl as the admin.
    pub fn kubectl(&self) -> Result<Kubectl, ClusterError> {
        self.kubectl_with("admin", &self.admin)
    }

    /// kubectl with this token, and nothing else that would tell who it is.
    pub fn kubectl_as(&self, token: &Token) -> Result<Kubectl, ClusterError> {
        self.kubectl_with("token", &self.token_user(token))
    }

    /// kubectl with this kubeconfig; `name` begins the name of its file in the run folder.
    pub fn kubectl_with(
        &self,
        name: &str,
        kubeconfig: &Kubeconfig,
    ) -> Result<Kubectl, ClusterError> {
        let program = &self.plan.assets.kubectl;
        Ok(Kubectl::new(program, &self.plan.folder, name, kubeconfig)?)
    }

    /// A `kube` client as the admin.
    pub async fn client(&self) -> Result<kube::Client, ClusterError> {
        let client = kubeconfig::client(&self.admin).await;
        client.map_err(|error| ClusterError::Client(Box::new(error)))
    }

    /// A `kube` client with this token.
    pub async fn client_as(&self, token: &Token) -> Result<kube::Client, ClusterError> {
        let client = kubeconfig::client(&self.token_user(token)).await;
        client.map_err(|error| ClusterError::Client(Box::new(error)))
    }

    /// The kubeconfig of a user who shows this token.
    pub fn token_user(&self, token: &Token) -> Kubeconfig {
        self.tokens().push(token.clone());
        Kubeconfig {
            user: "webhook-test".to_owned(),
            identity: Identity::Token(token.clone()),
            ..self.admin.clone()
        }
    }

    /// Leaves the diagnostics of the cluster, with tokens and keys redacted, and says where on
    /// standard error; `why` is what failed.
    pub async fn keep(&self, why: &(dyn fmt::Display + Sync)) {
        let webhook = self.webhook.lock().await;
        if let Some(log) = webhook.beside.log(&self.plan.docker).await {
            // Without it there is less to read, no more.
            let _ = self.plan.folder.write("webhook-beside.log", &log);
        }
        let tokens = self.tokens().clone();
        self.plan.leave_diagnostics(why.to_string(), &tokens).await;
    }

    fn tokens(&self) -> MutexGuard<'_, Vec<Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it all.
    pub async fn stop(self) {
        let Self {
            webhook,
            node,
            network,
            plan,
            ..
        } = self;
        webhook.into_inner().beside.remove().await;
        node.container.remove().await;
        network.remove().await;
        drop(plan);
    }
}
