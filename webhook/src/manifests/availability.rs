//! What keeps several Pods from being gone at once.

use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Manifests;

impl Manifests {
    /// A disruption budget: nodes are drained one Pod after the other. A single Pod has none: it
    /// would have to stay, or be gone.
    pub fn disruption_budget(&self) -> Option<PodDisruptionBudget> {
        (self.replicas > 1).then(|| PodDisruptionBudget {
            metadata: self.metadata(),
            spec: Some(PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(1)),
                selector: Some(self.label_selector()),
                // One that does not answer helps nobody, and must not hold up a drain.
                unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
                ..PodDisruptionBudgetSpec::default()
            }),
            ..PodDisruptionBudget::default()
        })
    }

    /// Each node has one before one has two; the same of zones, where that is possible.
    pub(super) fn spread(&self) -> Option<Vec<TopologySpreadConstraint>> {
        let over = |key: &str, otherwise: &str| TopologySpreadConstraint {
            topology_key: key.to_owned(),
            max_skew: 1,
            when_unsatisfiable: otherwise.to_owned(),
            label_selector: Some(self.label_selector()),
            // A node that takes no Pod of ours must not be waited for.
            node_taints_policy: Some("Honor".to_owned()),
            // Those of before, which go, do not count.
            match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
            ..TopologySpreadConstraint::default()
        };
        (self.replicas > 1).then(|| {
            vec![
                over("kubernetes.io/hostname", "DoNotSchedule"),
                over("topology.kubernetes.io/zone", "ScheduleAnyway"),
            ]
        })
    }

    pub(super) fn label_selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.selector()),
            ..LabelSelector::default()
        }
    }
}
