//! Why there is no lab.

use tokenlab_webhook::pki::PkiError;

use super::FlagsError;
use crate::assets::AssetsError;
use crate::control_plane::ControlPlaneError;
use crate::kubectl::KubectlError;
use crate::run_folder::RunFolderError;
use crate::webhook::WebhookError;

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Kubernetes' programs were not to be had.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// The run folder could not be written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// The webhook does not run.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The control plane does not run.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// The control plane does not run with the flags that it was given.
    #[error(transparent)]
    Flags(#[from] FlagsError),
    /// A user's certificate could not be made.
    #[error("the user's certificate could not be made")]
    Pki(#[from] PkiError),
    /// kubectl could not be run.
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
    /// A client could not be made.
    #[error("the client could not be made")]
    Client(#[source] Box<kube::Error>),
}

impl LabError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Assets(error) => error.hint(),
            Self::Folder(error) | Self::Kubectl(KubectlError::Folder(error)) => error.hint(),
            Self::ControlPlane(error) => error.hint(),
            Self::Flags(error) => error.hint(),
            Self::Webhook(error) => error.hint(),
            Self::Pki(_) | Self::Kubectl(_) | Self::Client(_) => None,
        }
    }
}
