//! What the webhook is in a cluster: the tutorial's `authn-webhook-deploy.yml`, and what a cluster
//! of several nodes needs beside it.

mod availability;
mod checked;
mod container;
mod image_name;
mod image_reference;
mod network_policy;
mod pod;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, Secret, Service, ServiceAccount, ServicePort, ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

use crate::kubeconfig::{Identity, Kubeconfig};
use crate::pki::{Certificate, CertificateAuthority, PkiError};

pub use checked::{label, service_address};
pub use image_name::{ImageName, ImageNameError};
pub use image_reference::{ImageReference, ImageReferenceError};

/// The image's name in the tutorial, and here where no other is given.
pub const IMAGE_NAME: &str = "pwk/authn-webhook:v0.1";
/// The port that the image is meant to listen on; above 1024, so that no capability is needed.
pub const PORT: u16 = 8443;
/// The user and the group that the program runs as: neither root nor anyone of the host's. The
/// number is that of `nonroot` in distroless images.
pub const USER: i64 = 65532;
/// The port of its probes and metrics, without TLS.
pub const HEALTH_PORT: u16 = 8081;
/// The folder in the container that has `tls.crt`, `tls.key` and [`CLIENT_CA`].
pub const CERTIFICATES: &str = "/run/tokenlab-webhook/tls";
/// The file there with the authority of clients' certificates.
pub const CLIENT_CA: &str = "client-ca.crt";
/// The folder in the container that has [`Manifests::files`].
pub const SETTINGS: &str = "/run/tokenlab-webhook/settings";
/// The name that kube-apiserver has as the webhook's client.
pub const CLIENT: &str = "kube-apiserver";

/// The label on everything that tokenlab puts into a cluster or an engine, so that what was left
/// can be found: `kubectl get all,secret,serviceaccount -A -l tokenlab`.
pub const LABEL: &str = "tokenlab";
/// Its value.
pub const LABEL_VALUE: &str = "webhook";
/// The label that tells one lab's objects from another's.
pub const RUN: &str = "tokenlab-run";

/// The webhook's Deployment and Service, with what they need: choices, of which
/// [`yaml`](Self::yaml) and the other methods make objects. The same choices and credentials
/// make the same objects.
///
/// The Pod meets the `restricted` Pod Security Standard, unless its
/// [`seccomp`](Self::seccomp) is switched off, and has no token of its own.
#[derive(Clone)]
pub struct Manifests {
    /// The image. One without a registry in its name is never pulled: it was loaded into the
    /// node, and what Docker Hub has under that name is somebody else's.
    pub image: ImageReference,
    /// The name of each object.
    pub name: String,
    /// The namespace, which must be there.
    pub namespace: String,
    /// The Service's address, within the cluster's service range. `None`: the cluster chooses.
    pub cluster_ip: Option<IpAddr>,
    /// How many Pods. Where there are several they are spread over nodes, and a disruption takes
    /// one at a time.
    pub replicas: i32,
    /// Whether the Pod has the container runtime's seccomp profile, as it should. That of
    /// containerd before 1.4.11 answers `clone3` so that a program of glibc 2.34 or newer cannot
    /// start a thread (containerd#5982).
    pub seccomp: bool,
    /// The names of the clients that are let in, by a certificate of
    /// [`Credentials::client_ca`]. None: clients need no certificate, and whoever reaches the
    /// Service can ask about tokens.
    pub clients: Vec<String>,
    /// Whence reviews may come: the addresses of the control plane's nodes, as the Pod sees
    /// them. An overlay network shows those of its own interface on the node. kube-apiserver is
    /// in its node's network, so that no selector of Pods matches it. None: from everywhere.
    pub control_plane: Vec<IpNet>,
    /// What decides about tokens, as arguments of `serve`.
    pub authenticator: Vec<String>,
    /// Files in [`SETTINGS`], which those arguments may name: they come by a Secret.
    pub files: BTreeMap<String, Vec<u8>>,
    /// How the container is run, when its image is not the product's.
    pub foreign: Option<Foreign>,
    /// The value of a label ([`RUN`]) on every object, by which those of one lab are told from others.
    pub run: Option<String>,
}

/// What the webhook shows, and whose clients it takes.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Its certificate, which must have its [`server_name`](Manifests::server_name).
    pub serving: Serving,
    /// The authority of its clients' certificates, PEM.
    pub client_ca: String,
}

/// Where the webhook's certificate and key come from.
#[derive(Clone, Debug)]
pub enum Serving {
    /// These are printed, as a Secret.
    Certificate(Certificate),
    /// A Secret of type `kubernetes.io/tls` that has this name, and is somebody else's work. When
    /// it changes the webhook goes on with what is in it then.
    Secret(String),
}

/// How a container is run whose image is not the product's.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// Its arguments; `None`: those that the image has.
    pub args: Option<Vec<String>>,
    /// Its environment: names and values.
    pub env: Vec<(String, String)>,
    /// The port that it listens on.
    pub port: u16,
    /// The folder in which it finds `tls.crt` and `tls.key`.
    pub certificates: String,
    /// Where it takes reviews: an absolute path.
    pub path: String,
}

impl Default for Manifests {
    /// The tutorial's: `my-authn` in `kube-system`, one Pod of `pwk/authn-webhook:v0.1` with the
    /// mock, which takes the client `kube-apiserver`.
    fn default() -> Self {
        Self {
            image: ImageReference::default(),
            name: "my-authn".to_owned(),
            namespace: "kube-system".to_owned(),
            cluster_ip: None,
            replicas: 1,
            seccomp: true,
            clients: vec![CLIENT.to_owned()],
            control_plane: Vec::new(),
            authenticator: vec!["--mock".to_owned()],
            files: BTreeMap::new(),
            foreign: None,
            run: None,
        }
    }
}

impl Credentials {
    /// The files of [`CERTIFICATES`] by their names, but for those that are in a Secret already.
    pub fn files(&self) -> Vec<(&'static str, &str)> {
        let mut files = vec![(CLIENT_CA, self.client_ca.as_str())];
        if let Serving::Certificate(certificate) = &self.serving {
            files.push(("tls.crt", certificate.certificate_pem()));
            files.push(("tls.key", certificate.key_pem()));
        }
        files
    }
}

impl fmt::Debug for Manifests {
    /// Files and variables by their names: they may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifests")
            .field("image", &self.image)
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .field("cluster_ip", &self.cluster_ip)
            .field("replicas", &self.replicas)
            .field("clients", &self.clients)
            .field("control_plane", &self.control_plane)
            .field("authenticator", &self.authenticator)
            .field("files", &self.files.keys())
            .finish_non_exhaustive()
    }
}

impl Manifests {
    /// Where the webhook takes reviews.
    pub fn path(&self) -> &str {
        let foreign = self.foreign.as_ref();
        foreign.map_or(crate::PATH, |foreign| foreign.path.as_str())
    }

    /// The name by which the Service is called within the cluster: `my-authn.kube-system.svc`.
    pub fn server_name(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }

    /// A serving certificate for that name; its clients' are of the same authority.
    pub fn credentials(&self, authority: &CertificateAuthority) -> Result<Credentials, PkiError> {
        Ok(Credentials {
            serving: Serving::Certificate(authority.serving(&[self.server_name()])?),
            client_ca: authority.certificate_pem().to_owned(),
        })
    }

    /// Who kube-apiserver is to the webhook: the first of the [`clients`](Self::clients), by a
    /// certificate of this authority. Nobody, where clients need none.
    pub fn client(&self, authority: &CertificateAuthority) -> Result<Identity, PkiError> {
        match self.clients.first() {
            Some(name) if self.checks_clients() => Ok((&authority.client(name, &[])?).into()),
            _ => Ok(Identity::Anonymous),
        }
    }

    /// Whether a client must show a certificate.
    pub fn checks_clients(&self) -> bool {
        self.foreign.is_none() && !self.clients.is_empty()
    }

    /// The file that tells kube-apiserver how to reach the webhook
    /// (`--authentication-token-webhook-config-file`), and who it is there.
    ///
    /// With a [`cluster_ip`](Self::cluster_ip) its URL has that address, and `tls-server-name`
    /// the name; without, the URL has the name, which must then be made resolvable for the
    /// apiserver: a static Pod in the host's network does not ask the cluster's DNS.
    pub fn webhook_config(&self, certificate_authority: &str, identity: Identity) -> Kubeconfig {
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
            identity,
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

    /// The certificate and its key, unless they are in a Secret already.
    pub fn secret(&self, credentials: &Credentials) -> Option<Secret> {
        let Serving::Certificate(certificate) = &credentials.serving else {
            return None;
        };
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        Some(Secret {
            metadata: self.metadata(),
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(BTreeMap::from([
                ("tls.crt".to_owned(), bytes(certificate.certificate_pem())),
                ("tls.key".to_owned(), bytes(certificate.key_pem())),
            ])),
            ..Secret::default()
        })
    }

    /// The authority of the clients, where they must show a certificate.
    pub fn config_map(&self, credentials: &Credentials) -> Option<ConfigMap> {
        self.checks_clients().then(|| ConfigMap {
            metadata: self.metadata(),
            data: Some(BTreeMap::from([(
                CLIENT_CA.to_owned(),
                credentials.client_ca.clone(),
            )])),
            ..ConfigMap::default()
        })
    }

    /// The [`files`](Self::files), where there are any.
    pub fn settings(&self) -> Option<Secret> {
        let bytes = |(name, text): (&String, &Vec<u8>)| (name.clone(), ByteString(text.clone()));
        (!self.files.is_empty()).then(|| Secret {
            metadata: ObjectMeta {
                name: Some(self.settings_name()),
                ..self.metadata()
            },
            data: Some(self.files.iter().map(bytes).collect()),
            ..Secret::default()
        })
    }

    fn settings_name(&self) -> String {
        format!("{}-settings", self.name)
    }

    /// The Service: port 443, as the apiserver's URL has none.
    pub fn service(&self) -> Service {
        Service {
            metadata: self.metadata(),
            spec: Some(ServiceSpec {
                cluster_ip: self.cluster_ip.map(|address| address.to_string()),
                selector: Some(self.selector()),
                ports: Some(vec![ServicePort {
                    name: Some(container::PORT_NAME.to_owned()),
                    port: 443,
                    target_port: Some(IntOrString::String(container::PORT_NAME.to_owned())),
                    ..ServicePort::default()
                }]),
                ..ServiceSpec::default()
            }),
            ..Service::default()
        }
    }

    /// The Deployment. With another certificate, or another file that `--config` of
    /// [`authenticator`](Self::authenticator) names, it is another one, so that applying it
    /// replaces the Pods: none goes on with what it had. Of other [`files`](Self::files) the webhook
    /// reads the new contents, once the kubelet brings them.
    pub fn deployment(&self, credentials: &Credentials) -> Deployment {
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
                template: self.pod(credentials),
                ..DeploymentSpec::default()
            },
            ..Deployment::default()
        }
    }

    /// All of them as one YAML text for `kubectl apply -f`, in the order in which they need each
    /// other. It holds the certificate's key.
    pub fn yaml(&self, credentials: &Credentials) -> String {
        let documents = [
            Some(document(&self.service_account())),
            self.secret(credentials).as_ref().map(document),
            self.config_map(credentials).as_ref().map(document),
            self.settings().as_ref().map(document),
            self.network_policy().as_ref().map(document),
            self.disruption_budget().as_ref().map(document),
            Some(document(&self.service())),
            Some(document(&self.deployment(credentials))),
        ];
        let documents: Vec<_> = documents.into_iter().flatten().collect();
        documents.join("---\n")
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

fn document<T: Serialize>(object: &T) -> String {
    serde_saphyr::to_string(object).expect("Kubernetes' objects always serialise")
}
