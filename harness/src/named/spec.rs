//! What a named lab shall be.

use serde::{Deserialize, Serialize};

use super::webhook::SpecWebhook;
use crate::assets::Wanted;
use crate::backend::Backend;
use crate::cluster::{Reach, ServiceAddress, Wire};
use crate::existing::ExistingCluster;

/// What a named lab shall be. The default is a bare lab of Kubernetes' default series, without any
/// flag of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spec {
    /// What it runs on.
    pub backend: Backend,
    /// The version of Kubernetes.
    pub kubernetes: Wanted,
    /// Flags of kube-apiserver, which replace the lab's own: name without dashes, and value.
    pub flags: Vec<(String, String)>,
    /// When the webhook is wired into the apiserver of a real cluster.
    pub wire: Wire,
    /// How the apiserver of a real cluster finds the webhook.
    pub reach: Reach,
    /// The address of the webhook's Service in a real cluster.
    pub service_address: ServiceAddress,
    /// Whether k3s runs its agent.
    pub agent: bool,
    /// Which cluster, when it is one that exists.
    pub existing: Option<ExistingCluster>,
    /// The webhook, when it is somebody else's.
    pub webhook: Option<SpecWebhook>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            kubernetes: Wanted::default(),
            flags: Vec::new(),
            wire: Wire::default(),
            reach: Reach::default(),
            service_address: ServiceAddress::default(),
            agent: true,
            existing: None,
            webhook: None,
        }
    }
}
