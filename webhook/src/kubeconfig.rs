//! Kubeconfig files: for the link from kube-apiserver to its webhook, and for kubectl's users.
//!
//! The format is Kubernetes' `Config` of `k8s.io/client-go/tools/clientcmd/api/v1` (`types.go`,
//! v0.37.2). All data is inline, so that a file can be moved, but for
//! [`Identity::ClientCertificateFiles`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::Token;
use crate::pki::Certificate;

/// Who a request is made as.
///
/// A client certificate beats a token in the apiserver's chain (x509 is asked first), so there
/// is no way to have both here: an admin's certificate beside a token would test the admin.
#[derive(Clone)]
pub enum Identity {
    /// Nobody: the apiserver calls it `system:anonymous`.
    Anonymous,
    /// A client certificate: the common name is the user, the organizations are the groups.
    ClientCertificate {
        /// The certificate, PEM.
        certificate: String,
        /// Its key, PKCS#8 PEM.
        key: String,
    },
    /// A client certificate by the paths of its files: absolute, or from the kubeconfig's folder. They
    /// are read again when they change.
    ClientCertificateFiles {
        /// The certificate's, PEM.
        certificate: String,
        /// The key's, PEM.
        key: String,
    },
    /// A bearer token.
    Token(Token),
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::ClientCertificate { .. } => "ClientCertificate(redacted)",
            Self::ClientCertificateFiles { .. } => "ClientCertificateFiles",
            Self::Token(_) => "Token(redacted)",
        })
    }
}

impl From<&Certificate> for Identity {
    fn from(certificate: &Certificate) -> Self {
        Self::ClientCertificate {
            certificate: certificate.certificate_pem().to_owned(),
            key: certificate.key_pem().to_owned(),
        }
    }
}

/// A kubeconfig of one cluster, one user and one context.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// The name of the cluster's entry.
    pub cluster: String,
    /// The name of the user's entry.
    pub user: String,
    /// The server's URL; for a webhook with its path.
    pub server: String,
    /// The CA that the server's certificate is checked against, PEM.
    pub certificate_authority: String,
    /// The name that the server's certificate must have, when it is not the URL's host.
    pub tls_server_name: Option<String>,
    /// Who the requests are made as.
    pub identity: Identity,
}

impl Kubeconfig {
    /// The file as YAML.
    pub fn yaml(&self) -> String {
        serde_saphyr::to_string(&self.file()).expect("plain strings always serialise")
    }

    fn file(&self) -> File<'_> {
        let user = match &self.identity {
            Identity::Anonymous => User::default(),
            Identity::ClientCertificate { certificate, key } => User {
                client_certificate_data: Some(STANDARD.encode(certificate)),
                client_key_data: Some(STANDARD.encode(key)),
                ..User::default()
            },
            Identity::ClientCertificateFiles { certificate, key } => User {
                client_certificate: Some(certificate),
                client_key: Some(key),
                ..User::default()
            },
            Identity::Token(token) => User {
                token: Some(token.expose()),
                ..User::default()
            },
        };
        File {
            api_version: "v1",
            kind: "Config",
            clusters: [NamedCluster {
                name: &self.cluster,
                cluster: Cluster {
                    certificate_authority_data: STANDARD.encode(&self.certificate_authority),
                    server: &self.server,
                    tls_server_name: self.tls_server_name.as_deref(),
                },
            }],
            users: [NamedUser {
                name: &self.user,
                user,
            }],
            contexts: [NamedContext {
                name: &self.cluster,
                context: Context {
                    cluster: &self.cluster,
                    user: &self.user,
                },
            }],
            current_context: &self.cluster,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    api_version: &'a str,
    kind: &'a str,
    clusters: [NamedCluster<'a>; 1],
    users: [NamedUser<'a>; 1],
    contexts: [NamedContext<'a>; 1],
    #[serde(rename = "current-context")]
    current_context: &'a str,
}

#[derive(Serialize)]
struct NamedCluster<'a> {
    name: &'a str,
    cluster: Cluster<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster<'a> {
    certificate_authority_data: String,
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_server_name: Option<&'a str>,
}

#[derive(Serialize)]
struct NamedUser<'a> {
    name: &'a str,
    user: User<'a>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

#[derive(Serialize)]
struct NamedContext<'a> {
    name: &'a str,
    context: Context<'a>,
}

#[derive(Serialize)]
struct Context<'a> {
    cluster: &'a str,
    user: &'a str,
}
