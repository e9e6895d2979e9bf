//! Who reaches the Pod.

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Manifests;
use super::container::{HEALTH, PORT_NAME};

impl Manifests {
    /// Reviews come from the [`control_plane`](Self::control_plane) alone; none where that is not
    /// told. Each Pod of the cluster may read the metrics; the kubelet's probes are let through by
    /// every network ("traffic to and from the node where a Pod is running is always allowed",
    /// Kubernetes' documentation, "Network Policies").
    pub fn network_policy(&self) -> Option<NetworkPolicy> {
        let block = |block: &ipnet::IpNet| NetworkPolicyPeer {
            ip_block: Some(IPBlock {
                cidr: block.trunc().to_string(),
                except: None,
            }),
            ..NetworkPolicyPeer::default()
        };
        let pods = NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector::default()),
            ..NetworkPolicyPeer::default()
        };
        let mut ingress = vec![rule(
            PORT_NAME,
            self.control_plane.iter().map(block).collect(),
        )];
        if self.foreign.is_none() {
            ingress.push(rule(HEALTH, vec![pods]));
        }
        (!self.control_plane.is_empty()).then(|| NetworkPolicy {
            metadata: self.metadata(),
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(self.label_selector()),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ingress: Some(ingress),
                egress: None,
            }),
        })
    }
}

fn rule(port: &str, from: Vec<NetworkPolicyPeer>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: Some(from),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::String(port.to_owned())),
            ..NetworkPolicyPort::default()
        }]),
    }
}
