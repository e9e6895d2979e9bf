//! The webhook's Pod: as little as it can do its work with.

use std::collections::BTreeMap;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, PodSecurityContext, PodSpec, PodTemplateSpec, ProjectedVolumeSource,
    SeccompProfile, SecretProjection, Toleration, Volume, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ring::digest::{SHA256, digest};

use super::{Credentials, Manifests, SETTINGS, Serving, USER};

/// Tells one certificate from another, so that another makes other Pods.
const CERTIFICATE_ANNOTATION: &str = "tokenlab/certificate";
/// The same of the configuration, which is read once. All other files are read again.
const CONFIGURATION_ANNOTATION: &str = "tokenlab/configuration";

impl Manifests {
    pub(super) fn pod(&self, credentials: &Credentials) -> PodTemplateSpec {
        let certificate = match &credentials.serving {
            Serving::Certificate(certificate) => Some(certificate.certificate_pem().as_bytes()),
            Serving::Secret(_) => None,
        };
        let told_apart = [
            (CERTIFICATE_ANNOTATION, certificate),
            (CONFIGURATION_ANNOTATION, self.configuration()),
        ];
        let annotations: BTreeMap<_, _> = told_apart
            .into_iter()
            .filter_map(|(key, contents)| Some((key.to_owned(), sha256(contents?))))
            .collect();
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels()),
                annotations: (!annotations.is_empty()).then_some(annotations),
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
                volumes: Some(self.volumes(credentials)),
                topology_spread_constraints: self.spread(),
                // The pause before its end, eleven seconds for reviews that are running, and some.
                termination_grace_period_seconds: Some(20),
                ..PodSpec::default()
            }),
        }
    }

    /// The file that `--config` names.
    fn configuration(&self) -> Option<&[u8]> {
        let mut args = self.authenticator.iter();
        let path = args.find_map(|arg| arg.strip_prefix("--config="))?;
        let name = path.strip_prefix(SETTINGS)?.strip_prefix('/')?;
        self.files.get(name).map(Vec::as_slice)
    }

    fn volumes(&self, credentials: &Credentials) -> Vec<Volume> {
        let secret = |name: String| VolumeProjection {
            secret: Some(SecretProjection {
                name,
                ..SecretProjection::default()
            }),
            ..VolumeProjection::default()
        };
        let clients = VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: self.name.clone(),
                ..ConfigMapProjection::default()
            }),
            ..VolumeProjection::default()
        };
        let volume = |name: &str, sources| Volume {
            name: name.to_owned(),
            projected: Some(ProjectedVolumeSource {
                sources: Some(sources),
                default_mode: Some(0o440),
                ..ProjectedVolumeSource::default()
            }),
            ..Volume::default()
        };
        let mut tls = vec![secret(match &credentials.serving {
            Serving::Certificate(_) => self.name.clone(),
            Serving::Secret(name) => name.clone(),
        })];
        tls.extend(self.checks_clients().then_some(clients));
        let mut volumes = vec![volume("tls", tls)];
        if !self.files.is_empty() {
            volumes.push(volume("settings", vec![secret(self.settings_name())]));
        }
        volumes
    }
}

fn sha256(contents: &[u8]) -> String {
    let digest = Bytes::copy_from_slice(digest(&SHA256, contents).as_ref());
    format!("{digest:x}")
}
