//! Kubeconfig files: for kubectl's users, and for the link from the apiserver to its webhook.
//!
//! The format is Kubernetes' `Config` of `k8s.io/client-go/tools/clientcmd/api/v1`. All data is
//! inline, so that a file can be moved: nothing in it depends on where it lies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tokenlab_webhook::Token;
use tokenlab_webhook::manifests::Manifests;
use tokenlab_webhook::pki::Certificate;

/// Who a request is made as.
///
/// A client certificate beats a token in the apiserver's chain (x509 is asked first), so there
/// is no way to have both here: an admin's certificate beside a token would test the admin.
#[derive(Clone)]
#[non_exhaustive]
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
    /// A bearer token.
    Token(Token),
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::ClientCertificate { .. } => "ClientCertificate(redacted)",
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

/// Why a kubeconfig does not tell who the admin is.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It is not YAML.
    #[error("it is not YAML")]
    NotYaml(#[source] Box<serde_saphyr::Error>),
    /// Something is not in it, or not in a form that is known.
    #[error("it has no `{0}`")]
    Lacks(&'static str),
}

impl Kubeconfig {
    /// The file that tells kube-apiserver how to reach the webhook of these objects
    /// (`--authentication-token-webhook-config-file`).
    pub fn of_webhook(manifests: &Manifests, certificate_authority: &str) -> Self {
        Self {
            cluster: manifests.name.clone(),
            user: "my-apiserver".to_owned(),
            server: manifests.server(),
            certificate_authority: certificate_authority.to_owned(),
            tls_server_name: manifests.tls_server_name(),
            identity: Identity::Anonymous,
        }
    }

    /// The admin of the first cluster, from a file with inline data, as kind and k3s write it.
    pub(crate) fn admin(text: &str) -> Result<Self, AdminError> {
        let file: serde_json::Value =
            serde_saphyr::from_str(text).map_err(|error| AdminError::NotYaml(Box::new(error)))?;
        let cluster = &file["clusters"][0]["cluster"];
        let user = &file["users"][0]["user"];
        let plain = |entry: &serde_json::Value, key| {
            let value = entry[key].as_str();
            value.map(str::to_owned).ok_or(AdminError::Lacks(key))
        };
        let decoded = |entry, key| {
            let bytes = STANDARD.decode(plain(entry, key)?);
            bytes
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or(AdminError::Lacks(key))
        };
        Ok(Self {
            cluster: "lab".to_owned(),
            user: "admin".to_owned(),
            server: plain(cluster, "server")?,
            certificate_authority: decoded(cluster, "certificate-authority-data")?,
            tls_server_name: None,
            identity: Identity::ClientCertificate {
                certificate: decoded(user, "client-certificate-data")?,
                key: decoded(user, "client-key-data")?,
            },
        })
    }

    /// The file as YAML.
    pub fn yaml(&self) -> String {
        serde_saphyr::to_string(&self.file()).expect("plain strings always serialise")
    }

    /// The settings for a `kube` client. It does not retry: an answer is an answer.
    pub async fn client(&self) -> Result<kube::Client, kube::Error> {
        let unreadable =
            |error: kube::config::KubeconfigError| kube::Error::Service(Box::new(error));
        crate::runtime::install_crypto_provider();
        let parsed = kube::config::Kubeconfig::from_yaml(&self.yaml()).map_err(unreadable)?;
        let options = kube::config::KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(parsed, &options)
            .await
            .map_err(unreadable)?;
        config.default_retry = false;
        // A control plane on loopback is not behind the proxy that the environment names.
        config.proxy_url = None;
        kube::Client::try_from(config)
    }

    fn file(&self) -> File<'_> {
        let user = match &self.identity {
            Identity::Anonymous => User::default(),
            Identity::ClientCertificate { certificate, key } => User {
                client_certificate_data: Some(STANDARD.encode(certificate)),
                client_key_data: Some(STANDARD.encode(key)),
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
                name: "lab",
                context: Context {
                    cluster: &self.cluster,
                    user: &self.user,
                },
            }],
            current_context: "lab",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_is_read_back() {
        let written = Kubeconfig {
            cluster: "lab".to_owned(),
            user: "admin".to_owned(),
            server: "https://127.0.0.1:6443".to_owned(),
            certificate_authority: "authority".to_owned(),
            tls_server_name: None,
            identity: Identity::ClientCertificate {
                certificate: "certificate".to_owned(),
                key: "key".to_owned(),
            },
        };
        let read = Kubeconfig::admin(&written.yaml()).expect("must be read");
        assert_eq!(read.yaml(), written.yaml());
    }

    #[test]
    fn what_an_admins_file_lacks_is_named() {
        let error = Kubeconfig::admin("clusters: []").expect_err("must fail");
        assert_eq!(error.to_string(), "it has no `server`");
        let error = Kubeconfig::admin("[").expect_err("must fail");
        assert_eq!(error.to_string(), "it is not YAML");
    }
}
