//! A cluster that is somebody else's: the webhook deployed into it, no flag of it touched.
//!
//! All of it is done by the user's kubectl with the user's kubeconfig, which may log in by a plugin
//! and name files: neither is looked into here.

mod access;
mod error;
mod forward;
mod observed;
mod operator;
mod outside;
mod target;

use std::net::IpAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use semver::Version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenlab_webhook::pki::CertificateAuthority;

use crate::cluster::deployment::{Stuck, rolled_out, stuck};
use crate::diagnostics::Redaction;
use crate::guardian::Guardian;
use crate::image::ImageName;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::lab::CONFIG_FILE;
use crate::manifests::{ForeignContainer, Manifests};
use crate::progress::Progress;
use crate::run_folder::{COMMAND_LINES, RunFolder, random_name};
use crate::tool::{Input, Tool, ToolError};
use crate::wait::{Poll, Probe, WaitError, until};
use crate::webhook::{Answer, Seen};

use access::Access;
pub use error::ExistingError;
use forward::Forward;
pub use operator::Operator;
pub use outside::Outside;
use target::{deleted_by, removal, target};

/// Which cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExistingCluster {
    /// The kubeconfig: a user who may create and delete in the webhook's namespace.
    pub kubeconfig: Utf8PathBuf,
    /// The context in it; `None`: its current one.
    pub context: Option<String>,
}

/// The webhook in a cluster that is somebody else's. What was made there goes with
/// [`stop`](Self::stop), or with this process, however it ends.
#[derive(Debug)]
pub struct Existing {
    kubectl: Tool,
    target: Vec<String>,
    manifests: Manifests,
    access: Access,
    authority: CertificateAuthority,
    /// Who the apiserver is to the webhook.
    apiserver: Identity,
    version: Version,
    removal: String,
    guardian: &'static Guardian,
    folder: RunFolder,
}

/// kubectl's own list, which is of no kind.
#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

/// What is made in the cluster, in kubectl's words. Who may not touch other kinds must not be asked
/// to: only a webhook that checks its clients has a `ConfigMap`.
fn kinds(manifests: &Manifests) -> &'static str {
    if manifests.checks_clients() {
        "serviceaccount,secret,configmap,service,deployment"
    } else {
        "serviceaccount,secret,service,deployment"
    }
}

/// The kubelet may pull the image first.
const POLL: Poll = Poll {
    every: Duration::from_millis(500),
    within: Duration::from_secs(120),
};

impl Existing {
    /// Looks whether the cluster answers and nothing of the webhook's name is there, applies its
    /// objects, and waits until its Pods are ready.
    ///
    /// The webhook is the product's, or one in an image of somebody else's, which the cluster must
    /// have or get by itself.
    pub async fn deploy(
        cluster: &ExistingCluster,
        foreign: Option<(ImageName, ForeignContainer)>,
        progress: &Progress,
    ) -> Result<Self, ExistingError> {
        let existing = Self::plan(cluster, foreign).await?;
        existing.apply(progress).await
    }

    /// Nothing is in the cluster yet.
    pub(crate) async fn plan(
        cluster: &ExistingCluster,
        foreign: Option<(ImageName, ForeignContainer)>,
    ) -> Result<Self, ExistingError> {
        cluster.can_be_read()?;
        let folder = RunFolder::create()?;
        let log = folder.file(COMMAND_LINES);
        let kubectl = Tool::find("kubectl").map_err(|_| ExistingError::NoKubectl)?;
        let run = random_name();
        let (image, foreign) = match foreign {
            Some((image, container)) => (image, Some(container.told(None))),
            None => (ImageName::default(), None),
        };
        let manifests = Manifests {
            image: image.into(),
            foreign,
            run: Some(run.clone()),
            ..Manifests::default()
        };
        let mut target = target(cluster)?;
        let kubectl = kubectl.log(log);
        let access = Access::read(&kubectl, &target).await?;
        // The user's current one may be another by the time that all of it is to be deleted.
        if cluster.context.is_none()
            && let Some(context) = access.context()
        {
            target.push(format!("--context={context}"));
        }
        let removal = removal(&kubectl, &target, &manifests, &run);
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let guardian = Guardian::get().map_err(ExistingError::Guardian)?;
        let mut existing = Self {
            kubectl,
            target,
            access,
            apiserver: manifests.client(&authority)?,
            authority,
            version: Version::new(0, 0, 0),
            manifests,
            removal,
            guardian,
            folder,
        };
        existing.version = existing.answers().await?;
        existing.nothing_is_there().await?;
        Ok(existing)
    }

    /// Applies what was planned.
    pub(crate) async fn apply(self, progress: &Progress) -> Result<Self, ExistingError> {
        self.create().await?;
        let title = "waiting until the webhook is ready in the cluster";
        match progress.step(title, self.available()).await {
            Ok(()) => Ok(self),
            Err(error) => {
                self.stop().await;
                Err(error)
            }
        }
    }

    /// The cluster's version.
    async fn answers(&self) -> Result<Version, ExistingError> {
        let answer = self.run(&["version", "--output=json"]).await;
        let answer = answer.map_err(ExistingError::Unreachable)?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let said = answer["serverVersion"]["gitVersion"].as_str();
        let said = said.unwrap_or_default();
        let version = Version::parse(said.trim_start_matches('v'));
        version.map_err(|_| ExistingError::Version {
            said: said.to_owned(),
        })
    }

    async fn nothing_is_there(&self) -> Result<(), ExistingError> {
        let Manifests {
            name, namespace, ..
        } = &self.manifests;
        let args = [
            "get",
            kinds(&self.manifests),
            "--ignore-not-found",
            "--output=json",
        ];
        let by_name = ["--namespace", namespace, "--field-selector"];
        let selector = format!("metadata.name={name}");
        let args = [&args[..], &by_name, &[&selector]].concat();
        let answer = self.run(&args).await?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        if items.is_empty() {
            return Ok(());
        }
        let named = |item: &Value| {
            let kind = item["kind"].as_str().unwrap_or_default();
            format!("{kind} {name}")
        };
        Err(ExistingError::Taken {
            namespace: namespace.clone(),
            objects: items.iter().map(named).collect::<Vec<_>>().join(", "),
            deleted_by: deleted_by(&items, &self.target, &self.manifests),
        })
    }

    /// Makes its objects: what is there by now is an error, and not changed.
    async fn create(&self) -> Result<(), ExistingError> {
        let credentials = self.manifests.credentials(&self.authority)?;
        let yaml = self.manifests.yaml(&credentials);
        // Before there is anything.
        let told = self.guardian.run_at_the_end(&self.removal);
        told.map_err(ExistingError::Guardian)?;
        let args = self.args(&["create", "--filename=-"]);
        let created = self.kubectl.feed(&args, Input::Bytes(yaml.as_bytes()));
        if let Err(error) = created.await {
            self.remove().await;
            return Err(ExistingError::Refused(error));
        }
        Ok(())
    }

    async fn available(&self) -> Result<(), ExistingError> {
        let Manifests {
            name, namespace, ..
        } = &self.manifests;
        let selector = self.selector();
        let look = async || {
            let deployment = self.get::<Deployment>("deployment", name).await;
            let ready = match deployment {
                Ok(deployment) => rolled_out(&deployment, self.manifests.replicas),
                Err(error) => return Probe::NotYet(error.to_string().into()),
            };
            let Err(ready) = ready else {
                return Probe::Ready(());
            };
            let args = ["get", "pods", "--output=json", "--namespace", namespace];
            let args = [&args[..], &["--selector", &selector]].concat();
            let pods = self.run(&args).await;
            let pods = pods.map(|text| serde_json::from_str::<Items<Pod>>(&text));
            match pods {
                Ok(Ok(pods)) => match pods.items.iter().find_map(stuck) {
                    Some(stuck) => Probe::Fatal(stuck),
                    None => Probe::NotYet(format!("{ready} Pods are ready").into()),
                },
                Ok(Err(error)) => Probe::NotYet(error.to_string().into()),
                Err(error) => Probe::NotYet(error.to_string().into()),
            }
        };
        let seen = match until("the webhook is ready", POLL, look).await {
            Ok(()) => return Ok(()),
            Err(WaitError::Fatal(Stuck::NoImage(said))) => {
                let image = self.manifests.image.name().clone();
                return Err(ExistingError::NoImage { image, said });
            }
            Err(WaitError::Fatal(Stuck::Ends(said))) => said,
            Err(error @ WaitError::TimedOut { .. }) => error.to_string(),
        };
        let args = ["logs", "--tail=12", "--namespace", namespace];
        let args = [&args[..], &["--selector", &selector]].concat();
        let log = self.run(&args).await.unwrap_or_default();
        Err(ExistingError::NotAvailable { seen, log })
    }

    /// What the webhook's Pods are labelled with.
    fn selector(&self) -> String {
        format!("app.kubernetes.io/instance={}", self.manifests.name)
    }

    /// Posts a body to the webhook as the apiserver does, its certificate checked, through a port of
    /// this machine (`kubectl port-forward`). Whether the apiserver's machine reaches the Service is
    /// not known by that.
    pub async fn post(&self, body: String) -> Result<Answer, ExistingError> {
        let config = self.webhook_config(None);
        self.post_seeing(&config, body, &Seen::default()).await
    }

    /// The same by the authority, the name and the client certificate of this file, with the
    /// certificate that was shown. Without a Pod it fails at once.
    pub(crate) async fn post_seeing(
        &self,
        config: &Kubeconfig,
        body: String,
        seen: &Seen,
    ) -> Result<Answer, ExistingError> {
        let deployment = self.get::<Deployment>("deployment", &self.manifests.name);
        let status = deployment.await?.status.unwrap_or_default();
        if status.ready_replicas.unwrap_or_default() == 0 {
            return Err(ExistingError::NoPod);
        }
        let forward = Forward::open(self).await?;
        let answer = forward.post(config, body, seen).await;
        forward.close().await;
        answer
    }

    /// The address that the cluster gave the webhook's Service.
    pub async fn address(&self) -> Result<IpAddr, ExistingError> {
        let service = self.get::<Service>("service", &self.manifests.name).await?;
        let has = service.spec.and_then(|spec| spec.cluster_ip);
        let has = has.unwrap_or_default();
        has.parse().map_err(|_| ExistingError::NoAddress { has })
    }

    /// What the cluster's operator must do, for the apiserver to ask the webhook.
    pub async fn operator(&self) -> Result<Operator, ExistingError> {
        let config = self.webhook_config(Some(self.address().await?));
        let text = config.yaml();
        let file = self.folder.write(CONFIG_FILE, &text)?;
        Ok(Operator {
            url: config.server,
            config: Redaction::default().text(&text),
            file,
        })
    }

    fn webhook_config(&self, cluster_ip: Option<IpAddr>) -> Kubeconfig {
        let manifests = Manifests {
            cluster_ip,
            ..self.manifests.clone()
        };
        manifests.webhook_config(self.authority.certificate_pem(), self.apiserver.clone())
    }

    /// The cluster's version of Kubernetes, as it says: `1.37.2+k3s1`.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// What was made.
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// The run folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Deletes what was made.
    pub async fn stop(self) {
        self.remove().await;
    }

    async fn remove(&self) {
        let words = shlex::split(&self.removal).unwrap_or_default();
        let args: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
        // What is not deleted by now is the guardian's.
        if self.kubectl.run(&args).await.is_ok() {
            let _ = self.guardian.need_not_run(&self.removal);
        }
    }

    async fn get<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Result<T, ExistingError> {
        let namespace = &self.manifests.namespace;
        let args = ["get", kind, name, "--namespace", namespace, "--output=json"];
        let answer = self.run(&args).await?;
        serde_json::from_str(&answer).map_err(ExistingError::Unreadable)
    }

    async fn run(&self, args: &[&str]) -> Result<String, ToolError> {
        self.kubectl.run(&self.args(args)).await
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let target = self.target.iter().map(String::as_str);
        target.chain(args.iter().copied()).collect()
    }
}
