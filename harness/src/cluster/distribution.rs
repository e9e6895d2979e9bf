//! What differs between the real clusters that a lab runs on.

use std::collections::BTreeMap;
use std::net::IpAddr;

use camino::Utf8Path;
use semver::Version;

use super::observed::{in_node, of_container};
use super::{ClusterError, ClusterPlan, Patch, Wired};
use crate::diagnostics::NodeSetup;
use crate::docker::{DockerError, LABEL, Owned, owner_label};
use crate::k3s::{self, K3s};
use crate::kind::{self, Kind};
use crate::kubeconfig::Kubeconfig;
use crate::named::{Log, LogName};
use crate::node::Node;

/// Who makes the cluster.
#[derive(Debug)]
pub(super) enum Distribution {
    Kind(Kind),
    K3s(K3s),
}

impl Distribution {
    /// The image that the node is made of.
    pub(super) fn image(&self) -> &str {
        match self {
            Self::Kind(kind) => &kind.image,
            Self::K3s(k3s) => &k3s.image,
        }
    }

    /// The version of Kubernetes, when it is not that of the programs here.
    pub(super) fn version(&self) -> Option<&Version> {
        match self {
            Self::Kind(_) => None,
            Self::K3s(k3s) => Some(&k3s.version),
        }
    }

    /// Whether a program of today runs under its container runtime's seccomp profile.
    pub(super) fn has_seccomp(&self) -> bool {
        match self {
            Self::Kind(_) => true,
            Self::K3s(k3s) => k3s.version >= k3s::SECCOMP,
        }
    }

    /// Whether there is a node to run the webhook on. If not, it runs beside.
    pub(super) fn has_node(&self) -> bool {
        match self {
            Self::Kind(_) => true,
            Self::K3s(k3s) => k3s.agent,
        }
    }

    /// Whether another flag of the apiserver starts everything on the node anew.
    pub(super) fn restarts_the_node(&self) -> bool {
        match self {
            Self::Kind(_) => false,
            Self::K3s(_) => true,
        }
    }

    /// The address that the webhook's Service asks for.
    pub(super) fn cluster_ip(&self) -> IpAddr {
        match self {
            Self::Kind(_) => kind::CLUSTER_IP,
            Self::K3s(_) => k3s::CLUSTER_IP,
        }
    }

    /// Where in the node the apiserver finds the webhook's file.
    pub(super) fn config_file(&self) -> &'static str {
        match self {
            Self::Kind(_) => kind::CONFIG_IN_NODE,
            Self::K3s(_) => k3s::CONFIG_IN_NODE,
        }
    }

    /// The node's container, announced to the guardian before it is made.
    pub(super) fn container(&self, name: &str) -> Result<Owned, DockerError> {
        match self {
            Self::Kind(_) => kind::container(name),
            Self::K3s(_) => k3s::container(name),
        }
    }

    /// Makes the network. Returns an address in it for the webhook, when it runs beside.
    pub(super) async fn network(&self, plan: &ClusterPlan) -> Result<Option<IpAddr>, ClusterError> {
        let label = match self {
            Self::K3s(k3s) if !k3s.agent => {
                let address = k3s::network::make(&plan.docker, &plan.name).await?;
                return Ok(Some(address.into()));
            }
            Self::Kind(_) => format!("{LABEL}=kind"),
            Self::K3s(_) => format!("{LABEL}=k3s"),
        };
        let owner = owner_label();
        let args = ["network", "create", "--label", &label, &owner, &plan.name];
        plan.docker.run(&args).await?;
        Ok(None)
    }

    /// Creates the cluster's node; its network is there. Returns the admin.
    pub(super) async fn create(
        &self,
        plan: &ClusterPlan,
        node: &Node,
    ) -> Result<Kubeconfig, ClusterError> {
        match self {
            Self::Kind(kind) => kind.create(plan).await,
            Self::K3s(k3s) => k3s.create(plan, node).await,
        }
    }

    /// Loads an image's archive into the node; the digest tells it from others there.
    pub(super) async fn load(
        &self,
        plan: &ClusterPlan,
        node: &Node,
        digest: &str,
        archive: &Utf8Path,
    ) -> Result<(), ClusterError> {
        match self {
            Self::Kind(kind) => kind.load(plan, archive).await,
            Self::K3s(k3s) => k3s.load(node, archive, digest).await,
        }
    }

    /// Changes the running apiserver, or leaves all as it was.
    pub(super) async fn patch(
        &self,
        node: &Node,
        admin: &Kubeconfig,
        patch: &Patch,
    ) -> Result<Wired, ClusterError> {
        match self {
            Self::Kind(kind) => Ok(kind.patch(node, admin, patch).await?),
            Self::K3s(k3s) => Ok(k3s.patch(node, admin, patch).await?),
        }
    }

    /// The flags of the running apiserver.
    pub(super) async fn flags(&self, node: &Node) -> Result<Vec<String>, ClusterError> {
        Ok(match self {
            Self::Kind(kind) => kind.flags(node).await?,
            Self::K3s(k3s) => k3s.flags(node).await?,
        })
    }

    /// The flags that the apiserver is started with, whatever runs.
    pub(super) async fn told_flags(&self, node: &Node) -> Result<Vec<String>, ClusterError> {
        Ok(match self {
            Self::Kind(kind) => kind.told_flags(node).await?,
            // They stand in its log, also when it has ended.
            Self::K3s(k3s) => k3s.flags(node).await?,
        })
    }

    /// Where a file that the apiserver sees is in the node; `None`: nowhere.
    pub(super) async fn mounted(
        &self,
        node: &Node,
        path: &str,
    ) -> Result<Option<String>, ClusterError> {
        match self {
            Self::Kind(kind) => Ok(kind.mounted(node, path).await?),
            Self::K3s(_) => Ok(Some(path.to_owned())),
        }
    }

    /// Takes back what wired the webhook in.
    pub(super) async fn undo(
        &self,
        node: &Node,
        admin: &Kubeconfig,
        server_name: &str,
    ) -> Result<Wired, ClusterError> {
        match self {
            Self::Kind(kind) => Ok(kind.undo(node, admin, server_name).await?),
            Self::K3s(k3s) => Ok(k3s.undo(node, admin).await?),
        }
    }

    /// Where the logs are of a cluster with this node; `beside` is the container of a webhook that
    /// runs beside it.
    pub(super) fn logs(
        &self,
        node: &str,
        plan: &ClusterPlan,
        beside: Option<&str>,
    ) -> BTreeMap<LogName, Vec<Log>> {
        let pods = |files: &str| {
            let [print, follow] = ["cat", "tail -n 0 -F"]
                .map(|program| format!("exec {program} /var/log/pods/{files}"));
            vec![in_node(node, &["sh", "-c", &print], &["sh", "-c", &follow])]
        };
        let manifests = plan.manifests();
        let webhook = beside.map_or_else(
            || {
                pods(&format!(
                    "{}_{}-*/*/*.log",
                    manifests.namespace, manifests.name
                ))
            },
            |container| vec![of_container(container)],
        );
        let (apiserver, etcd, mut kubelet) = match self {
            Self::Kind(_) => (
                pods("kube-system_kube-apiserver-*/*/*.log"),
                pods("kube-system_etcd-*/*/*.log"),
                vec![in_node(
                    node,
                    &["journalctl", "--unit=kubelet", "--no-pager"],
                    &[
                        "journalctl",
                        "--unit=kubelet",
                        "--no-pager",
                        "--lines=0",
                        "--follow",
                    ],
                )],
            ),
            Self::K3s(_) => (
                vec![of_container(node)],
                vec![Log::None(
                    "k3s has no etcd: it stores in a file, by itself".to_owned(),
                )],
                Vec::new(),
            ),
        };
        let mut node = vec![of_container(node)];
        node.append(&mut kubelet);
        BTreeMap::from([
            (LogName::Apiserver, apiserver),
            (LogName::Etcd, etcd),
            (LogName::Webhook, webhook),
            (LogName::Node, node),
        ])
    }

    /// What the node's container is called, and how it is set up.
    pub(super) fn node(&self, name: &str) -> (String, NodeSetup) {
        match self {
            Self::Kind(_) => (kind::container_name(name), NodeSetup::Kubeadm),
            Self::K3s(_) => (k3s::container_name(name), NodeSetup::K3s),
        }
    }
}
