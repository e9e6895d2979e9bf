//! What differs between the real clusters that a lab runs on.

use std::net::IpAddr;

use camino::Utf8Path;

use super::{ClusterError, ClusterPlan, Patch, Wired};
use crate::diagnostics::NodeSetup;
use crate::docker::{DockerError, Owned};
use crate::kind::{self, Kind};
use crate::kubeconfig::Kubeconfig;
use crate::node::Node;

/// Who makes the cluster.
#[derive(Debug)]
pub(super) enum Distribution {
    Kind(Kind),
}

impl Distribution {
    /// The image that the node is made of.
    pub(super) fn image(&self) -> &str {
        match self {
            Self::Kind(kind) => &kind.image,
        }
    }

    /// The address that the webhook's Service asks for.
    pub(super) fn cluster_ip(&self) -> IpAddr {
        match self {
            Self::Kind(_) => kind::CLUSTER_IP,
        }
    }

    /// Where in the node the apiserver finds the webhook's file.
    pub(super) fn config_file(&self) -> &'static str {
        match self {
            Self::Kind(_) => kind::CONFIG_IN_NODE,
        }
    }

    /// The node's container, announced to the guardian before it is made.
    pub(super) fn container(&self, name: &str) -> Result<Owned, DockerError> {
        match self {
            Self::Kind(_) => kind::container(name),
        }
    }

    /// Creates the cluster's node; its network is there. Returns the admin.
    pub(super) async fn create(&self, plan: &ClusterPlan) -> Result<Kubeconfig, ClusterError> {
        match self {
            Self::Kind(kind) => kind.create(plan).await,
        }
    }

    /// Loads an image's archive into the node.
    pub(super) async fn load(
        &self,
        plan: &ClusterPlan,
        archive: &Utf8Path,
    ) -> Result<(), ClusterError> {
        match self {
            Self::Kind(kind) => kind.load(plan, archive).await,
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
        }
    }

    /// What the node's container is called, and how it is set up.
    pub(super) fn node(&self, name: &str) -> (String, NodeSetup) {
        match self {
            Self::Kind(_) => (kind::container_name(name), NodeSetup::Kubeadm),
        }
    }
}
