//! The webhook of a named lab, when it is somebody else's.

use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::cluster::ClusterWebhook;
use crate::image::ImageName;
use crate::manifests::ForeignContainer;
use crate::webhook::{Elsewhere, WebhookCommand, WebhookSource};

/// Somebody else's webhook. It holds what its files held: the supervisor does not read them again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpecWebhook {
    /// The supervisor of a bare lab starts it.
    Command(WebhookCommand),
    /// It runs already, for a bare lab.
    Elsewhere(Elsewhere),
    /// That of a real cluster.
    Cluster(ClusterWebhook),
    /// An image that a cluster that exists gets by itself.
    Existing(ImageName, ForeignContainer),
}

impl SpecWebhook {
    /// Whether a lab on this backend can have it.
    pub(super) fn fits(&self, backend: Backend) -> bool {
        match backend {
            Backend::Bare => self.of_processes().is_some(),
            Backend::Kind | Backend::K3s => self.of_a_cluster().is_some(),
            Backend::Existing => self.of_an_existing_cluster().is_some(),
        }
    }

    pub(super) fn of_processes(&self) -> Option<WebhookSource> {
        match self {
            Self::Command(command) => Some(command.clone().into()),
            Self::Elsewhere(elsewhere) => Some(elsewhere.clone().into()),
            Self::Cluster(_) | Self::Existing(..) => None,
        }
    }

    pub(super) fn of_a_cluster(&self) -> Option<&ClusterWebhook> {
        match self {
            Self::Cluster(webhook) => Some(webhook),
            Self::Command(_) | Self::Elsewhere(_) | Self::Existing(..) => None,
        }
    }

    pub(super) fn of_an_existing_cluster(&self) -> Option<(ImageName, ForeignContainer)> {
        match self {
            Self::Existing(image, container) => Some((image.clone(), container.clone())),
            Self::Command(_) | Self::Elsewhere(_) | Self::Cluster(_) => None,
        }
    }
}
