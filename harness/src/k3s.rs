//! k3s: a cluster whose node is one container, or a control plane that has no node.

mod apiserver;
mod config;
#[cfg(feature = "k3s")]
mod container;
#[cfg(feature = "k3s")]
mod containerd;
mod error;
mod files;
mod find;
#[cfg(feature = "k3s")]
mod image;
#[cfg(not(feature = "k3s"))]
mod left_out;
pub(crate) mod network;
mod webhook;
mod wiring;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use crate::cluster::{ClusterError, ClusterPlan, Patch, Wired};
use crate::docker::{DockerError, Owned};
use crate::guardian::EngineObject;
use crate::kubeconfig::{self, Kubeconfig};
use crate::node::Node;
use crate::wait::{Poll, Probe, WaitError, until};

pub use error::K3sError;
pub(crate) use find::has_image;
#[cfg(feature = "k3s")]
pub use image::K3sImage;
pub(crate) use webhook::{Beside, Loaded};
use wiring::Wiring;

/// The environment variable that names the image.
pub const IMAGE: &str = "LAB_K3S_IMAGE";

/// The webhook's address in the cluster: in that part of k3s' service range (10.43.0.0/16) which
/// the apiserver keeps for addresses that are asked for.
pub(crate) const CLUSTER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 43, 0, 96));

/// From this version on every k3s has a containerd whose seccomp profile lets glibc start a
/// thread: 1.4.11, of k3s v1.21.5+k3s2 and v1.22.2+k3s2.
pub(crate) const SECCOMP: Version = Version::new(1, 22, 3);

/// The file by which the apiserver reaches its webhook.
pub(crate) const CONFIG_IN_NODE: &str = "/etc/rancher/k3s/webhook-config.yml";

/// The admin's, in the container.
const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
/// Archives in it are loaded whenever the agent starts.
const IMAGES: &str = "/var/lib/rancher/k3s/agent/images";

const POLL: Poll = Poll {
    every: Duration::from_millis(200),
    within: Duration::from_secs(120),
};

/// An image of k3s, and how it is run.
#[derive(Debug)]
pub(crate) struct K3s {
    pub(crate) image: String,
    pub(crate) version: Version,
    /// Whether there is a node to run Pods on.
    pub(crate) agent: bool,
    /// The archive of the first process of each Pod; `None`: the one that k3s pulls.
    #[cfg_attr(not(feature = "k3s"), expect(dead_code, reason = "nothing is started"))]
    pause: Option<Utf8PathBuf>,
}

impl K3s {
    /// Creates the container; its network is there. Returns the admin once the apiserver is
    /// ready, and with an agent the network of the Pods.
    pub(crate) async fn create(
        &self,
        plan: &ClusterPlan,
        node: &Node,
    ) -> Result<Kubeconfig, ClusterError> {
        let number = self.start(plan, node).await?;
        let text = match node.run(&["cat", KUBECONFIG]).await {
            Ok(text) => text,
            Err(error) => return Err(still_runs(node).await.err().unwrap_or(error.into()).into()),
        };
        let admin = kubeconfig::admin(&text);
        let admin = admin.map_err(|source| ClusterError::Kubeconfig {
            program: "k3s",
            source,
        })?;
        let admin = Kubeconfig {
            server: format!("https://127.0.0.1:{number}"),
            ..admin
        };
        self.ready(node, &admin).await?;
        Ok(admin)
    }

    /// Waits until the apiserver is ready, and Pods can have a network: flannel writes this file
    /// after the node is called Ready, and a Pod of before that is tried again much later.
    async fn ready(&self, node: &Node, admin: &Kubeconfig) -> Result<(), ClusterError> {
        let client = kubeconfig::client(admin).await;
        let client = client.map_err(|error| ClusterError::Client(Box::new(error)))?;
        let look = async || {
            if let Err(error) = still_runs(node).await {
                return Probe::Fatal(error);
            }
            if let Err(reason) = apiserver::readyz(&client).await {
                return Probe::NotYet(reason.into());
            }
            if !self.agent {
                return Probe::Ready(());
            }
            match node.look(&["cat", "/run/flannel/subnet.env"], &[]).await {
                Ok(_) => Probe::Ready(()),
                Err(_) => Probe::NotYet("flannel has no subnet".into()),
            }
        };
        match until("k3s is ready", POLL, look).await {
            Ok(()) => Ok(()),
            Err(WaitError::Fatal(error)) => Err(error.into()),
            Err(error @ WaitError::TimedOut { .. }) => Err(K3sError::NotReady {
                seen: error.to_string(),
                log: apiserver::log_tail(node).await,
            }
            .into()),
        }
    }

    /// Loads an image's archive now, and at each later start.
    pub(crate) async fn load(
        &self,
        node: &Node,
        archive: &Utf8Path,
        digest: &str,
    ) -> Result<(), ClusterError> {
        let digits = digest.rsplit(':').next().unwrap_or(digest);
        let path = format!("{IMAGES}/tokenlab-{digits:.12}.tar");
        node.run(&["mkdir", "-p", IMAGES]).await?;
        let target = format!("{}:{path}", node.container.name());
        let args = ["cp", archive.as_str(), &target];
        node.docker.run(&args).await?;
        let import = ["ctr", "--namespace", "k8s.io", "images", "import", &path];
        Ok(node.run(&import).await.map(drop)?)
    }

    /// Changes the running apiserver.
    pub(crate) async fn patch(
        &self,
        node: &Node,
        admin: &Kubeconfig,
        patch: &Patch,
    ) -> Result<Wired, K3sError> {
        Wiring { node, admin }.set(patch).await
    }

    /// The flags of the running apiserver.
    pub(crate) async fn flags(&self, node: &Node) -> Result<Vec<String>, DockerError> {
        apiserver::flags(node).await
    }

    /// Takes back what wired the webhook in. Its name stays known in the container.
    pub(crate) async fn undo(&self, node: &Node, admin: &Kubeconfig) -> Result<Wired, K3sError> {
        Wiring { node, admin }.undo().await
    }
}

/// Fails when it does not run any more, and tells why.
async fn still_runs(node: &Node) -> Result<(), K3sError> {
    match apiserver::ended(node).await? {
        None => Ok(()),
        Some(seen) => Err(K3sError::NotReady {
            seen,
            log: String::new(),
        }),
    }
}

/// What it is called.
pub(crate) fn container_name(name: &str) -> String {
    format!("{name}-k3s")
}

/// The container that k3s runs in.
pub(crate) fn container(name: &str) -> Result<Owned, DockerError> {
    Owned::announce(EngineObject::Container, container_name(name))
}
