//! What the webhook is in a cluster: the tutorial's `authn-webhook-deploy.yml`.

mod foreign;
mod pod;

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{Secret, Service, ServiceAccount, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use tokenlab_webhook::pki::{Certificate, CertificateAuthority, PkiError};

use crate::image::ImageName;
use crate::kubeconfig::{Identity, Kubeconfig};

pub use foreign::ForeignContainer;

/// The label on everything that tokenlab puts into a cluster or an engine, so that what was left
/// can be found: `kubectl get all,secret,serviceaccount -A -l tokenlab`.
pub const LABEL: &str = "tokenlab";
/// Its value.
pub(crate) const LABEL_VALUE: &str = "webhook";
/// The label that tells one lab's objects from another's.
pub(crate) const RUN: &str = "tokenlab-run";

/// The webhook's Deployment and Service, with what they need: choices, of which
/// [`yaml`](Self::yaml) and the other methods make objects. The same choices and certificate
/// make the same objects.
///
/// The Pod meets the `restricted` Pod Security Standard, unless its
/// [`seccomp`](Self::seccomp) is switched off, and has no token of its own.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// The image. One without a registry in its name is never pulled: it was loaded into the
    /// node, and what Docker Hub has under that name is somebody else's.
    pub image: ImageName,
    /// The name of each object.
    pub name: String,
    /// The namespace, which must be there.
    pub namespace: String,
    /// The Service's address, within the cluster's service range. `None`: the cluster chooses.
    pub cluster_ip: Option<IpAddr>,
    /// How many Pods.
    pub replicas: i32,
    /// Whether the Pod has the container runtime's seccomp profile, as it should. That of
    /// containerd before 1.4.11 answers `clone3` so that a program of glibc 2.34 or newer cannot
    /// start a thread (containerd#5982).
    pub seccomp: bool,
    /// How the container is run, when its image is not the product's.
    pub foreign: Option<ForeignContainer>,
    /// The value of a label (`RUN`) on every object, by which those of one lab are told from others.
    pub run: Option<String>,
}

impl Default for Manifests {
    /// The tutorial's: `my-authn` in `kube-system`, one Pod of `pwk/authn-webhook:v0.1`.
    fn default() -> Self {
        Self {
            image: ImageName::default(),
            name: "my-authn".to_owned(),
            namespace: "kube-system".to_owned(),
            cluster_ip: None,
            replicas: 1,
            seccomp: true,
            foreign: None,
            run: None,
        }
    }
}

impl Manifests {
    /// Where the webhook takes reviews.
    pub fn path(&self) -> &str {
        let foreign = self.foreign.as_ref();
        foreign.map_or(tokenlab_webhook::PATH, |foreign| foreign.path.as_str())
    }

    /// The name by which the Service is called within the cluster: `my-authn.kube-system.svc`.
    pub fn server_name(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }

    /// A serving certificate for that name.
    pub fn certificate(&self, authority: &CertificateAuthority) -> Result<Certificate, PkiError> {
        authority.serving(&[self.server_name()])
    }

    /// The file that tells kube-apiserver how to reach the webhook
    /// (`--authentication-token-webhook-config-file`).
    ///
    /// With a [`cluster_ip`](Self::cluster_ip) its URL has that address, and `tls-server-name`
    /// the name; without, the URL has the name, which must then be made resolvable for the
    /// apiserver: a static Pod in the host's network does not ask the cluster's DNS.
    pub fn webhook_config(&self, certificate_authority: &str) -> Kubeconfig {
        let name = self.server_name();
        let (host, tls_server_name) = match self.cluster_ip {
            Some(IpAddr::V4(address)) => (address.to_string(), Some(name)),
            Some(IpAddr::V6(address)) => (format!("[{address}]"), Some(name)),
            None => (name, None),
        };
        Kubeconfig {
            cluster: self.name.clone(),
            user: "my-apiserver".to_owned(),
            server: format!("https://{host}{}", self.path()),
            certificate_authority: certificate_authority.to_owned(),
            tls_server_name,
            identity: Identity::Anonymous,
        }
    }

    /// An identity that may do nothing and gets no token.
    pub fn service_account(&self) -> ServiceAccount {
        ServiceAccount {
            metadata: self.metadata(),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        }
    }

    /// The certificate and its key.
    pub fn secret(&self, certificate: &Certificate) -> Secret {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        Secret {
            metadata: self.metadata(),
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(BTreeMap::from([
                ("tls.crt".to_owned(), bytes(certificate.certificate_pem())),
                ("tls.key".to_owned(), bytes(certificate.key_pem())),
            ])),
            ..Secret::default()
        }
    }

    /// The Service: port 443, as the apiserver's URL has none.
    pub fn service(&self) -> Service {
        Service {
            metadata: self.metadata(),
            spec: Some(ServiceSpec {
                cluster_ip: self.cluster_ip.map(|address| address.to_string()),
                selector: Some(self.selector()),
                ports: Some(vec![ServicePort {
                    name: Some(pod::PORT_NAME.to_owned()),
                    port: 443,
                    target_port: Some(IntOrString::String(pod::PORT_NAME.to_owned())),
                    ..ServicePort::default()
                }]),
                ..ServiceSpec::default()
            }),
            ..Service::default()
        }
    }

    /// The Deployment. With another certificate it is another one, so that applying it replaces
    /// the Pods: the webhook reads its certificate when it starts.
    pub fn deployment(&self, certificate: &Certificate) -> Deployment {
        Deployment {
            metadata: self.metadata(),
            spec: DeploymentSpec {
                replicas: Some(self.replicas),
                selector: LabelSelector {
                    match_labels: Some(self.selector()),
                    ..LabelSelector::default()
                },
                // The old Pod goes when the new one answers: a login is waiting.
                strategy: Some(DeploymentStrategy {
                    type_: Some("RollingUpdate".to_owned()),
                    rolling_update: Some(RollingUpdateDeployment {
                        max_surge: Some(IntOrString::Int(1)),
                        max_unavailable: Some(IntOrString::Int(0)),
                    }),
                }),
                template: self.pod(certificate),
                ..DeploymentSpec::default()
            },
            ..Deployment::default()
        }
    }

    /// All of them as one YAML text for `kubectl apply -f`, in the order in which they need each
    /// other. It holds the certificate's key.
    pub fn yaml(&self, certificate: &Certificate) -> String {
        [
            document(&self.service_account()),
            document(&self.secret(certificate)),
            document(&self.service()),
            document(&self.deployment(certificate)),
        ]
        .join("---\n")
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            ..ObjectMeta::default()
        }
    }

    /// The labels that Kubernetes recommends ("Recommended Labels"), and our own.
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        let others = [
            ("app.kubernetes.io/component", "authentication"),
            ("app.kubernetes.io/managed-by", "tokenlab"),
            ("app.kubernetes.io/part-of", "tokenlab"),
            (LABEL, LABEL_VALUE),
        ];
        labels.extend(others.map(|(key, value)| (key.to_owned(), value.to_owned())));
        labels.extend(self.run.iter().map(|run| (RUN.to_owned(), run.clone())));
        labels
    }

    /// What tells its Pods from others. It must not change: a Deployment's selector cannot.
    fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (
                "app.kubernetes.io/name".to_owned(),
                "tokenlab-webhook".to_owned(),
            ),
            ("app.kubernetes.io/instance".to_owned(), self.name.clone()),
        ])
    }
}

fn document(object: &impl Serialize) -> String {
    serde_saphyr::to_string(object).expect("Kubernetes' objects always serialise")
}
