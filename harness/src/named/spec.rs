//! What a named lab shall be.

use serde::{Deserialize, Serialize};

use super::protocol::Failure;
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

impl Spec {
    /// Refuses what no lab could be.
    pub(super) fn check(&self) -> Result<(), Failure> {
        crate::lab::check(self.flags.iter().map(|(name, _)| &**name))?;
        match &self.webhook {
            Some(webhook) if !webhook.fits(self.backend) => Err(Failure {
                message: format!("a lab on {} cannot have this webhook", self.backend),
                hint: Some(
                    "a command, or a webhook elsewhere, is for a bare lab; what a cluster's node \
                     reaches or runs is for kind and k3s"
                        .to_owned(),
                ),
            }),
            _ => Ok(()),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::WebhookCommand;

    #[test]
    fn another_webhook_than_the_one_that_is_meant_is_not_served() {
        let command = WebhookCommand::new("true".parse().expect("must be a command line"));
        let on = |backend| Spec {
            backend,
            webhook: Some(SpecWebhook::Command(command.clone())),
            ..Spec::default()
        };
        assert_eq!(on(Backend::Bare).check(), Ok(()));
        let refused = on(Backend::Kind).check().expect_err("must be refused");
        assert_eq!(refused.message, "a lab on kind cannot have this webhook");
    }

    #[test]
    fn a_flag_that_the_lab_keeps_is_refused() {
        let of = |name: &str| Spec {
            flags: vec![(name.to_owned(), "6443".to_owned())],
            ..Spec::default()
        };
        assert_eq!(of("v").check(), Ok(()));
        let refused = of("secure-port").check().expect_err("must be refused");
        assert!(refused.message.contains("`--secure-port`"), "{refused}");
        assert!(refused.hint.is_some());
    }
}
