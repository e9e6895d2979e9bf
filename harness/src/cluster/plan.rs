//! From choices to a running cluster.

use std::fmt;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex as StdMutex;

use camino::Utf8Path;
use futures::FutureExt as _;
use semver::Version;
use tokenlab_webhook::Token;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::sync::{Mutex, OnceCell};

use super::distribution::Distribution;
use super::{
    Cluster, ClusterBuilder, ClusterError, ClusterPlan, ClusterWebhook, Deployed, Reach,
    ServiceAddress, Wire,
};
use crate::assets::{Assets, AssetsError, Sources, Wanted, chain};
use crate::backend::Backend;
use crate::diagnostics::Subject;
use crate::docker::{Docker, Owned};
use crate::guardian::EngineObject;
use crate::image::ImageName;
use crate::k3s::{K3s, K3sError};
use crate::kind::Kind;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::manifests::Manifests;
use crate::node::Node;
use crate::progress::Progress;
use crate::run_folder::{COMMAND_LINES, RunFolder, random_name};

impl ClusterBuilder {
    /// Who makes the cluster: any backend but the bare one.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// The version of Kubernetes.
    pub fn kubernetes(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// When the webhook is wired in.
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// How the apiserver finds the webhook.
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// The address of the webhook's Service.
    pub fn service_address(mut self, address: ServiceAddress) -> Self {
        self.address = address;
        self
    }

    /// Whether k3s runs its agent; kind's nodes always have theirs. Without it there is no node, only a control plane: the
    /// webhook runs beside it, in a container of its own.
    pub fn agent(mut self, agent: bool) -> Self {
        self.agent = agent;
        self
    }

    /// The webhook, when it is not the product's.
    pub fn webhook(mut self, webhook: ClusterWebhook) -> Self {
        self.webhook = Some(webhook);
        self
    }

    /// Where to show how far it is; nowhere by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Looks for what is needed, and gets what is missing. Nothing is started.
    pub async fn plan(self) -> Result<ClusterPlan, ClusterError> {
        let Self {
            backend,
            wanted,
            wire,
            reach,
            address,
            agent,
            webhook,
            progress,
        } = self;
        match backend {
            Backend::Bare => return Err(ClusterError::NoCluster),
            Backend::Existing => return Err(ClusterError::NotOurs),
            Backend::Kind | Backend::K3s => {}
        }
        let at_creation = match backend {
            // k3s learns a name when its container is made.
            Backend::K3s => wire == Wire::Create || reach == Reach::Dns,
            Backend::Bare | Backend::Kind | Backend::Existing => wire == Wire::Create,
        };
        if at_creation && address == ServiceAddress::Discovered {
            return Err(ClusterError::UnknownAddress);
        }
        if backend == Backend::K3s && !agent && address != ServiceAddress::Usual {
            return Err(K3sError::NoService.into());
        }
        if backend == Backend::K3s && !agent && webhook.is_some() {
            return Err(ClusterError::NoNode);
        }
        if let Some(webhook) = &webhook {
            webhook.check()?;
        }
        let mut docker = Docker::check().await?;
        if let Some(ClusterWebhook::Image(image, _)) = &webhook {
            image.check(&docker).await?;
        }
        let sources = Sources::from_env().map_err(AssetsError::from)?;
        let assets = sources.ensure(&wanted, &progress).await?;
        let folder = RunFolder::create()?;
        let name = format!("tokenlab-{}", random_name());
        let log = folder.file(COMMAND_LINES);
        let distribution = match backend {
            Backend::Bare | Backend::Existing => return Err(ClusterError::NoCluster),
            Backend::Kind => {
                let kind = Kind::find(&sources, &assets.version, &docker, &progress).await?;
                docker = docker.probed(&kind.image).await?;
                Distribution::Kind(kind.told(&name, &folder, &log))
            }
            Backend::K3s => {
                let version = &assets.version;
                let k3s = K3s::find(&sources, version, agent, &docker, &folder, &progress).await?;
                if agent {
                    docker = docker.probed(&k3s.image).await?;
                }
                Distribution::K3s(k3s)
            }
        };
        let address = match address {
            ServiceAddress::Usual => Some(distribution.cluster_ip()),
            ServiceAddress::Fixed(address) => Some(address),
            ServiceAddress::Discovered => None,
        };
        let seccomp = distribution.has_seccomp();
        let (image, foreign) = match &webhook {
            Some(ClusterWebhook::Image(image, container)) => {
                (image.name().clone(), Some(container.told(address)))
            }
            Some(ClusterWebhook::Elsewhere(_)) | None => (ImageName::default(), None),
        };
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let manifests = Manifests {
            image: image.into(),
            foreign,
            cluster_ip: address,
            seccomp,
            ..Manifests::default()
        };
        Ok(ClusterPlan {
            assets,
            distribution,
            docker: docker.logged(log),
            name,
            wire,
            reach,
            address,
            apiserver: manifests.client(&authority)?,
            authority,
            webhook: webhook.map(Box::new),
            manifests: Box::new(manifests),
            folder,
            progress,
        })
    }
}

impl ClusterPlan {
    /// The programs.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The image of the node.
    pub fn image(&self) -> &str {
        self.distribution.image()
    }

    /// The cluster's version of Kubernetes.
    pub fn version(&self) -> &Version {
        self.distribution.version().unwrap_or(&self.assets.version)
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The run folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The webhook's objects in the cluster.
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// Where in the node the apiserver finds [`webhook_config`](Self::webhook_config).
    pub fn config_file(&self) -> &'static str {
        self.distribution.config_file()
    }

    /// The file that tells the apiserver how to reach the webhook; an error when the Service's
    /// address is in it and only the cluster will know that.
    pub fn webhook_config(&self) -> Result<String, ClusterError> {
        self.config_for(self.address)
    }

    /// Where the apiserver posts its TokenReviews.
    pub(super) fn webhook_url(&self, address: Option<IpAddr>) -> Result<String, ClusterError> {
        Ok(self.webhook_kubeconfig(address)?.server)
    }

    /// The path of a file in the same folder of the node.
    pub(crate) fn beside_the_config(&self, name: &str) -> String {
        let folder = Utf8Path::new(self.config_file()).parent();
        folder
            .unwrap_or(Utf8Path::new("/"))
            .join(name)
            .into_string()
    }

    pub(super) fn config_for(&self, address: Option<IpAddr>) -> Result<String, ClusterError> {
        Ok(self.webhook_kubeconfig(address)?.yaml())
    }

    fn webhook_kubeconfig(&self, address: Option<IpAddr>) -> Result<Kubeconfig, ClusterError> {
        if let Some(elsewhere) = self.elsewhere() {
            return Ok(elsewhere.kubeconfig());
        }
        let cluster_ip = match self.reach {
            Reach::ClusterIp => Some(address.ok_or(ClusterError::UnknownAddress)?),
            Reach::Dns => None,
        };
        Ok(self.config_at(cluster_ip))
    }

    /// How the webhook is reached by the address of its Service, or by its name.
    pub(super) fn config_at(&self, cluster_ip: Option<IpAddr>) -> Kubeconfig {
        let manifests = Manifests {
            cluster_ip,
            ..(*self.manifests).clone()
        };
        manifests.webhook_config(self.authority.certificate_pem(), self.apiserver.clone())
    }

    /// Who the apiserver is to the webhook.
    pub fn apiserver(&self) -> &Identity {
        &self.apiserver
    }

    /// What must be resolvable for the apiserver.
    pub(crate) fn host_entry(&self) -> Result<Option<(IpAddr, String)>, ClusterError> {
        self.host_for(self.address)
    }

    pub(super) fn host_for(
        &self,
        address: Option<IpAddr>,
    ) -> Result<Option<(IpAddr, String)>, ClusterError> {
        match self.reach {
            Reach::ClusterIp => Ok(None),
            Reach::Dns if self.elsewhere().is_some() => Ok(None),
            Reach::Dns => {
                let address = address.ok_or(ClusterError::UnknownAddress)?;
                Ok(Some((address, self.manifests.server_name())))
            }
        }
    }

    /// Creates the cluster. When that fails its diagnostics stay, and it goes.
    pub async fn start(mut self) -> Result<Cluster, ClusterError> {
        let network = Owned::announce(EngineObject::Network, self.name.clone())?;
        let node = Node {
            docker: self.docker.clone(),
            container: self.distribution.container(&self.name)?,
        };
        match self.distribution.network(&self).await {
            Ok(None) => {}
            Ok(address) => self.address = address,
            Err(error) => {
                self.leave_diagnostics(failure(&error), &[]).await;
                return Err(error);
            }
        }
        let title = format!("creating a cluster of Kubernetes {}", self.version());
        let create = self.distribution.create(&self, &node);
        match self.progress.step(&title, create).await {
            Ok(admin) => Ok(Cluster {
                webhook: Mutex::new(Deployed::default()),
                change: Mutex::new(()),
                tokens: StdMutex::default(),
                node,
                network,
                admin,
                address: OnceCell::new_with(self.address),
                plan: self,
            }),
            Err(error) => {
                self.leave_diagnostics(failure(&error), &[]).await;
                Err(error)
            }
        }
    }

    /// Starts the cluster, runs the test in it, and ends it. When the test fails or panics, the
    /// diagnostics stay.
    pub async fn run<T, E: From<ClusterError> + fmt::Display>(
        self,
        test: impl AsyncFnOnce(&Cluster) -> Result<T, E>,
    ) -> Result<T, E> {
        let cluster = self.start().await?;
        let outcome = AssertUnwindSafe(test(&cluster)).catch_unwind().await;
        match &outcome {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => cluster.keep(&error.to_string()).await,
            Err(_panic) => cluster.keep(&"a test panicked").await,
        }
        cluster.stop().await;
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Leaves the diagnostics of the cluster, without these tokens.
    pub(super) async fn leave_diagnostics(&self, failure: String, tokens: &[Token]) {
        let (container, setup) = self.distribution.node(&self.name);
        let subject = Subject {
            docker: &self.docker,
            container: &container,
            setup,
            manifests: &self.manifests,
            config_file: self.distribution.config_file(),
            failure: Some(failure),
            tokens,
        };
        subject.leave(&self.folder).await;
    }
}

/// An error with its causes, and all that the program said that was to create the cluster.
fn failure(error: &ClusterError) -> String {
    let said = match error {
        ClusterError::Create(error) => error.said(),
        _ => "",
    };
    format!("{}\n\n{said}\n", chain(error))
}
