//! Why there is no cluster, or no webhook in it.

use tokenlab_webhook::pki::PkiError;

use super::DeploymentError;
use crate::assets::{AssetsError, BuildError};
use crate::docker::DockerError;
use crate::image::{ForeignImageError, ImageError};
use crate::k3s::K3sError;
use crate::kind::WiringError;
use crate::kubeconfig::AdminError;
use crate::kubectl::{KubectlError, Output};
use crate::node_image::NodeImageError;
use crate::run_folder::RunFolderError;
use crate::tool::ToolError;
use crate::webhook::WebhookError;

/// Why there is no cluster, or no webhook in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Docker cannot be used.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// Kubernetes' programs were not to be had.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// kind was not to be had.
    #[error(transparent)]
    Kind(#[from] BuildError),
    /// There is no image for the node.
    #[error(transparent)]
    NodeImage(#[from] NodeImageError),
    /// The run folder could not be written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// The webhook's image was not made.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A certificate could not be made.
    #[error("the webhook's certificates could not be made")]
    Pki(#[from] PkiError),
    /// kind did not create the cluster.
    #[error("the cluster was not created")]
    Create(#[source] ToolError),
    /// Another command failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The admin's kubeconfig is not usable.
    #[error("the kubeconfig that {program} wrote cannot be used")]
    Kubeconfig {
        /// Who wrote it.
        program: &'static str,
        /// What is wrong with it.
        source: AdminError,
    },
    /// The bare backend is a control plane of processes: it has no node to deploy into.
    #[error("the bare backend has no cluster to deploy a webhook into")]
    NoCluster,
    /// A cluster that is somebody else's is neither made nor changed here.
    #[error("a cluster that exists is not created, and no flag of it is set")]
    NotOurs,
    /// The address of the webhook's Service is needed before the cluster has chosen it.
    #[error("the address of the webhook's Service is not known yet")]
    UnknownAddress,
    /// It is not known how such a webhook would run without a node.
    #[error("a control plane without a node runs no webhook but the product's")]
    NoNode,
    /// Somebody else's webhook listens where no node reaches it.
    #[error(
        "a node does not reach the webhook at `{url}`: in its container that is the container itself"
    )]
    Loopback {
        /// Its URL.
        url: String,
    },
    /// The webhook that runs elsewhere does not answer.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// There is no image of the webhook.
    #[error(transparent)]
    ForeignImage(#[from] ForeignImageError),
    /// kubectl could not be run.
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
    /// The webhook's objects were refused.
    #[error("the cluster refused the webhook's manifests; {0}")]
    Apply(Box<Output>),
    /// The webhook does not come.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// The webhook is there, and the node does not reach it.
    #[error("the node does not reach the webhook's Service: {seen}")]
    Unreachable {
        /// What it last saw.
        seen: String,
    },
    /// The apiserver's flag is not set.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// k3s does not run, or not with the flag.
    #[error(transparent)]
    K3s(#[from] K3sError),
    /// A client could not be made.
    #[error("the client could not be made")]
    Client(#[source] Box<kube::Error>),
}

impl ClusterError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Docker(error) => error.hint(),
            Self::Assets(error) => error.hint(),
            Self::Kind(error) => error.hint(),
            Self::NodeImage(error) => error.hint(),
            Self::Folder(error) | Self::Kubectl(KubectlError::Folder(error)) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Deployment(error) => error.hint(),
            Self::Wiring(error) => error.hint(),
            Self::K3s(error) => error.hint(),
            Self::ForeignImage(error) => error.hint(),
            Self::Webhook(error) => error.hint(),
            Self::NotOurs => Some("`Existing::deploy` puts the webhook into it".to_owned()),
            Self::NoNode => Some("leave `--no-agent` out".to_owned()),
            Self::Loopback { .. } => Some(
                "have it listen on an address that a container reaches, such as that of docker0, and put that into the URL".to_owned(),
            ),
            Self::NoCluster => Some("take `--backend kind` or `--backend k3s`".to_owned()),
            Self::UnknownAddress => Some(
                "an address that the cluster chooses is known once the webhook is deployed: wire it in after that (`--wire patch`), or name an address".to_owned(),
            ),
            Self::Create(error) => of_creation(error.said())
                .map(str::to_owned)
                .or_else(|| DockerError::meant(error.said())?.hint()),
            Self::Tool(error) => DockerError::meant(error.said())?.hint(),
            Self::Unreachable { .. } => Some(
                "the node reaches a Service by kube-proxy, and on k3s by k3s itself: their logs are in the diagnostics"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// The texts are those of kind and the kubelet, and what of Docker's only kind asks for.
fn of_creation(said: &str) -> Option<&'static str> {
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if says(&["already exist for a cluster with the name"]) {
        Some("delete the cluster of that name (`kind delete cluster --name …`), or take another")
    } else if says(&["too many open files"]) {
        Some("raise fs.inotify.max_user_watches to 524288 and fs.inotify.max_user_instances to 512")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_of_creation_have_a_way_out() {
        let hint = of_creation("ERROR: node(s) already exist for a cluster with the name \"a\"");
        assert!(hint.is_some_and(|hint| hint.contains("kind delete cluster")));
        assert_eq!(of_creation("something new"), None);
    }
}
