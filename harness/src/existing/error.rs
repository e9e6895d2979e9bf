//! Why the webhook is not in somebody else's cluster.

use std::io;

use camino::Utf8PathBuf;
use tokenlab_webhook::pki::PkiError;

use crate::image::{IMAGE_NAME, ImageName};
use crate::kubectl::KubectlError;
use crate::process::StartError;
use crate::run_folder::RunFolderError;
use crate::tool::ToolError;
use crate::webhook::PostError;

const NOT_PULLED: &str = "a name without a registry is not pulled: load it into each node \
     (`ctr --namespace k8s.io images import FILE`, or `kind load image-archive FILE`)";

/// Why the webhook is not in somebody else's cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExistingError {
    /// There is no kubectl.
    #[error("`kubectl` is not on PATH")]
    NoKubectl,
    /// The run folder could not be written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// The guardian, which deletes what is made, does not run.
    #[error("the guardian could not be told what to delete")]
    Guardian(#[source] io::Error),
    /// A certificate could not be made.
    #[error("the webhook's certificates could not be made")]
    Pki(#[from] PkiError),
    /// The kubeconfig is not there, or another's.
    #[error("the kubeconfig `{path}` cannot be read")]
    NoKubeconfig {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kubeconfig is of no use, or has no such context.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] ToolError),
    /// What it says of its version is none.
    #[error("the cluster says that its version is `{said}`, which is none of Kubernetes'")]
    Version {
        /// What it says.
        said: String,
    },
    /// What is asked for is its operator's to do.
    #[error("the cluster is somebody else's: {0}")]
    NotOurs(&'static str),
    /// A kubeconfig could not be written.
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
    /// The cluster does not answer, or its kubeconfig is of no use.
    #[error("the cluster does not answer")]
    Unreachable(#[source] ToolError),
    /// Something is there already.
    #[error("in the namespace `{namespace}` there is already: {objects}")]
    Taken {
        /// The namespace.
        namespace: String,
        /// Kinds and names.
        objects: String,
        /// The command that deletes it, when labs made all of it.
        deleted_by: Option<String>,
    },
    /// The cluster refused the objects. What it took is deleted.
    #[error("the cluster refused the webhook's objects")]
    Refused(#[source] ToolError),
    /// Another command failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// kubectl's answer cannot be read.
    #[error("kubectl's answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// Its image cannot be had.
    #[error("the cluster does not get the image `{image}`: {said}")]
    NoImage {
        /// The image.
        image: ImageName,
        /// What the kubelet said.
        said: String,
    },
    /// It was not ready in time, or ends again and again.
    #[error("the webhook is not ready in the cluster: {seen}\nits log:\n{log}")]
    NotAvailable {
        /// What the cluster said.
        seen: String,
        /// The end of its log.
        log: String,
    },
    /// Its Service has no address of its own.
    #[error("the webhook's Service has no address: `{has}`")]
    NoAddress {
        /// What it has.
        has: String,
    },
    /// Nothing stands behind its Service.
    #[error("no Pod of the webhook is ready: nothing stands behind its Service")]
    NoPod,
    /// It cannot be reached through the cluster.
    #[error("the webhook is not reached by `kubectl port-forward`")]
    Forward(#[source] StartError),
    /// It does not answer.
    #[error("the webhook in the cluster did not answer")]
    Post(#[from] PostError),
}

impl ExistingError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoKubectl => Some("install it, in a version near that of the cluster".to_owned()),
            Self::Folder(error) => error.hint(),
            Self::Taken {
                deleted_by: Some(command),
                ..
            } => Some(format!(
                "another lab runs there, or one left them; if none runs: `{command}`"
            )),
            Self::Taken { .. } => {
                Some("they are no lab's, and are left alone: delete or rename them".to_owned())
            }
            Self::NoImage { image, .. } => Some(match image.registry() {
                Some(_) => "the nodes pull it: from a registry that they reach, and may".to_owned(),
                None if image.to_string() == IMAGE_NAME => {
                    format!("{NOT_PULLED}, as `tokenlab image build` makes it")
                }
                None => format!(
                    "{NOT_PULLED}, or push it and name it: `--webhook-image REGISTRY/{}`",
                    image.base()
                ),
            }),
            Self::NotOurs(_) => Some(
                "`tokenlab status` shows the file that its operator sets the flag to".to_owned(),
            ),
            _ => None,
        }
    }

    /// Without what a command wrote in many lines.
    pub(crate) fn in_a_line(&self) -> String {
        match self {
            Self::Tool(error) => error.said().lines().last().unwrap_or_default().to_owned(),
            other => other.to_string(),
        }
    }
}
