//! The webhook's Pod: as little as it can do its work with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, PodSecurityContext, PodSpec,
    PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource,
    SecurityContext, TCPSocketAction, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use sha2::{Digest as _, Sha256};

use super::{CERTIFICATES, Manifests, PORT, USER};
use crate::pki::Certificate;

/// The port's name, by which probes and the Service find it.
pub(super) const PORT_NAME: &str = "https";

/// Tells one certificate from another, so that another makes other Pods.
const CERTIFICATE_ANNOTATION: &str = "tokenlab/certificate";

impl Manifests {
    pub(super) fn pod(&self, certificate: &Certificate) -> PodTemplateSpec {
        let digest = Bytes::copy_from_slice(&Sha256::digest(certificate.certificate_pem()));
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels()),
                annotations: Some(BTreeMap::from([(
                    CERTIFICATE_ANNOTATION.to_owned(),
                    format!("{digest:x}"),
                )])),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                service_account_name: Some(self.name.clone()),
                automount_service_account_token: Some(false),
                // A list of the namespace's Services in its environment: of no use to it.
                enable_service_links: Some(false),
                // Without it nobody with a token gets in: it must not be the one to be evicted.
                priority_class_name: Some("system-cluster-critical".to_owned()),
                // A cluster of one node has no other place.
                tolerations: Some(vec![Toleration {
                    key: Some("node-role.kubernetes.io/control-plane".to_owned()),
                    operator: Some("Exists".to_owned()),
                    effect: Some("NoSchedule".to_owned()),
                    ..Toleration::default()
                }]),
                node_selector: Some(BTreeMap::from([(
                    "kubernetes.io/os".to_owned(),
                    "linux".to_owned(),
                )])),
                security_context: Some(PodSecurityContext {
                    run_as_non_root: Some(true),
                    run_as_user: Some(USER),
                    run_as_group: Some(USER),
                    // The group that may read the key below.
                    fs_group: Some(USER),
                    seccomp_profile: self.seccomp.then(|| SeccompProfile {
                        type_: "RuntimeDefault".to_owned(),
                        ..SeccompProfile::default()
                    }),
                    ..PodSecurityContext::default()
                }),
                containers: vec![self.container()],
                volumes: Some(vec![Volume {
                    name: "tls".to_owned(),
                    secret: Some(SecretVolumeSource {
                        secret_name: Some(self.name.clone()),
                        default_mode: Some(0o440),
                        ..SecretVolumeSource::default()
                    }),
                    ..Volume::default()
                }]),
                // Reviews that are running may take five seconds to end.
                termination_grace_period_seconds: Some(10),
                ..PodSpec::default()
            }),
        }
    }

    fn container(&self) -> Container {
        let pull = match self.image.registry() {
            Some(_) => "IfNotPresent",
            None => "Never",
        };
        let variable = |(name, value): &(String, String)| EnvVar {
            name: name.clone(),
            value: Some(value.clone()),
            ..EnvVar::default()
        };
        let foreign = self.foreign.as_ref();
        Container {
            name: "webhook".to_owned(),
            image: Some(self.image.to_string()),
            image_pull_policy: Some(pull.to_owned()),
            args: self.args(),
            env: foreign.map(|foreign| foreign.env.iter().map(variable).collect()),
            ports: Some(vec![ContainerPort {
                name: Some(PORT_NAME.to_owned()),
                container_port: self.port().into(),
                ..ContainerPort::default()
            }]),
            readiness_probe: Some(self.probe(2, 3)),
            liveness_probe: self.is_ours().then(|| self.probe(10, 3)),
            // What others need is not known here.
            resources: self.is_ours().then(|| ResourceRequirements {
                requests: Some(quantities("10m", "16Mi")),
                limits: Some(quantities("1", "64Mi")),
                ..ResourceRequirements::default()
            }),
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                read_only_root_filesystem: Some(self.is_ours()),
                capabilities: Some(Capabilities {
                    drop: Some(vec!["ALL".to_owned()]),
                    ..Capabilities::default()
                }),
                ..SecurityContext::default()
            }),
            volume_mounts: Some(vec![VolumeMount {
                name: "tls".to_owned(),
                mount_path: foreign
                    .map_or(CERTIFICATES, |foreign| &foreign.certificates)
                    .to_owned(),
                read_only: Some(true),
                ..VolumeMount::default()
            }]),
            ..Container::default()
        }
    }

    /// Whether the image is the product's.
    fn is_ours(&self) -> bool {
        self.foreign.is_none()
    }

    fn port(&self) -> u16 {
        self.foreign.as_ref().map_or(PORT, |foreign| foreign.port)
    }

    /// All of the Pod's addresses.
    fn every(&self) -> &'static str {
        // Where the kernel has IPv6 switched off, `[::]` cannot be listened on.
        match self.cluster_ip {
            Some(IpAddr::V6(_)) => "[::]",
            Some(IpAddr::V4(_)) | None => "0.0.0.0",
        }
    }

    fn args(&self) -> Option<Vec<String>> {
        if let Some(foreign) = &self.foreign {
            return foreign.args.clone();
        }
        let every = self.every();
        Some(vec![
            "serve".to_owned(),
            "--mock".to_owned(),
            format!("--listen={every}:{PORT}"),
            format!("--tls-cert-file={CERTIFICATES}/tls.crt"),
            format!("--tls-private-key-file={CERTIFICATES}/tls.key"),
        ])
    }

    fn probe(&self, period: i32, failures: i32) -> Probe {
        let port = IntOrString::String(PORT_NAME.to_owned());
        let (http, tcp) = if self.is_ours() {
            let livez = HTTPGetAction {
                path: Some("/livez".to_owned()),
                port,
                // The kubelet does not check the certificate.
                scheme: Some("HTTPS".to_owned()),
                ..HTTPGetAction::default()
            };
            (Some(livez), None)
        } else {
            (None, Some(TCPSocketAction { port, host: None }))
        };
        Probe {
            http_get: http,
            tcp_socket: tcp,
            period_seconds: Some(period),
            timeout_seconds: Some(2),
            failure_threshold: Some(failures),
            ..Probe::default()
        }
    }
}

fn quantities(cpu: &str, memory: &str) -> BTreeMap<String, Quantity> {
    let quantity = |text: &str| Quantity(text.to_owned());
    BTreeMap::from([
        ("cpu".to_owned(), quantity(cpu)),
        ("memory".to_owned(), quantity(memory)),
    ])
}
