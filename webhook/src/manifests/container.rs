//! The webhook's container: what it is told, and how it is looked after.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, Probe, ResourceRequirements,
    SecurityContext, TCPSocketAction, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{CERTIFICATES, CLIENT_CA, HEALTH_PORT, Manifests, PORT, SETTINGS};

/// The port's name, by which the Service finds it.
pub(super) const PORT_NAME: &str = "https";
/// How many connections there may be: an apiserver has one or a few, and strangers must not fill
/// the memory that there is.
const CONNECTIONS: usize = 1000;
/// How much memory there is, in MiB: more than strangers can take of it.
const MEMORY: usize = 128;

/// The name of the port of probes and metrics.
pub(super) const HEALTH: &str = "health";

impl Manifests {
    pub(super) fn container(&self) -> Container {
        let pull = match self.image.name().registry() {
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
            ports: Some(self.ports()),
            readiness_probe: Some(self.probe("/readyz", 2)),
            liveness_probe: self.is_ours().then(|| self.probe("/livez", 10)),
            // What others need is not known here.
            resources: self.is_ours().then(|| ResourceRequirements {
                requests: Some(quantities("10m", "16Mi")),
                limits: Some(quantities("1", &format!("{MEMORY}Mi"))),
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
            volume_mounts: Some(self.mounts()),
            ..Container::default()
        }
    }

    fn ports(&self) -> Vec<ContainerPort> {
        let port = |name: &str, port: u16| ContainerPort {
            name: Some(name.to_owned()),
            container_port: port.into(),
            ..ContainerPort::default()
        };
        match &self.foreign {
            Some(foreign) => vec![port(PORT_NAME, foreign.port)],
            None => vec![port(PORT_NAME, PORT), port(HEALTH, HEALTH_PORT)],
        }
    }

    fn mounts(&self) -> Vec<VolumeMount> {
        let mount = |name: &str, path: &str| VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        };
        let tls = match &self.foreign {
            Some(foreign) => &foreign.certificates,
            None => CERTIFICATES,
        };
        let mut mounts = vec![mount("tls", tls)];
        if !self.files.is_empty() {
            mounts.push(mount("settings", SETTINGS));
        }
        mounts
    }

    /// Whether the image is the product's.
    fn is_ours(&self) -> bool {
        self.foreign.is_none()
    }

    /// All of the Pod's addresses.
    fn every(&self) -> &'static str {
        // Where the kernel has IPv6 switched off, `[::]` cannot be listened on.
        match self.cluster_ip {
            Some(IpAddr::V6(_)) => "[::]",
            Some(IpAddr::V4(_)) | None => "0.0.0.0",
        }
    }

    /// What the container is told; `None`: the image's own arguments.
    pub fn args(&self) -> Option<Vec<String>> {
        if let Some(foreign) = &self.foreign {
            return foreign.args.clone();
        }
        let every = self.every();
        let mut args = vec![
            "serve".to_owned(),
            format!("--listen={every}:{PORT}"),
            format!("--health-listen={every}:{HEALTH_PORT}"),
            format!("--tls-cert-file={CERTIFICATES}/tls.crt"),
            format!("--tls-private-key-file={CERTIFICATES}/tls.key"),
            // By then every node knows that no more connections shall come here.
            "--shutdown-delay=5s".to_owned(),
            format!("--max-connections={CONNECTIONS}"),
        ];
        if self.checks_clients() {
            args.push(format!("--client-ca-file={CERTIFICATES}/{CLIENT_CA}"));
            args.extend(
                self.clients
                    .iter()
                    .map(|name| format!("--client-name={name}")),
            );
        } else {
            args.push("--no-client-certificates".to_owned());
        }
        args.extend(self.authenticator.iter().cloned());
        Some(args)
    }

    fn probe(&self, path: &str, period: i32) -> Probe {
        let (http, tcp) = if self.is_ours() {
            let get = HTTPGetAction {
                path: Some(path.to_owned()),
                port: IntOrString::String(HEALTH.to_owned()),
                ..HTTPGetAction::default()
            };
            (Some(get), None)
        } else {
            let port = IntOrString::String(PORT_NAME.to_owned());
            (None, Some(TCPSocketAction { port, host: None }))
        };
        Probe {
            http_get: http,
            tcp_socket: tcp,
            period_seconds: Some(period),
            timeout_seconds: Some(2),
            failure_threshold: Some(3),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::router::{BODIES_TOGETHER, MAX_IN_FLIGHT};

    /// The program's limits add up to what its container has. What each part takes is measured
    /// by the tests in `attacks`.
    #[test]
    fn memory_is_enough_for_the_limits() {
        let at_rest = 20 * 1024 * 1024;
        // What TLS and HTTP keep of a quiet one, and a head that is not whole.
        let head = usize::try_from(Limits::default().head_octets).expect("it fits");
        let connections = CONNECTIONS * (24 * 1024 + head);
        // One frame each, which is not counted; a buffer that grows for those that are may be twice
        // as large as what is in it.
        let bodies = MAX_IN_FLIGHT * 16 * 1024 + 2 * BODIES_TOGETHER;
        let most = at_rest + connections + bodies;
        assert!(most < MEMORY * 1024 * 1024, "{most} octets");
    }
}
