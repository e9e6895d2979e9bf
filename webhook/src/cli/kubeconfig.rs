//! `tokenlab-webhook kubeconfig`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::builder::NonEmptyStringValueParser;
use http::Uri;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use serde::Serialize;
use tokenlab_webhook::{PATH, Tls};

use super::failure::Failure;
use super::out::Out;

const EXAMPLES: &str = "\
Examples:
  By the service's address, which needs no DNS record; the certificate has the service's name:
    tokenlab-webhook kubeconfig --certificate-authority pki/ca.crt \\
      --server https://10.96.0.50 --tls-server-name my-authn.kube-system.svc

  With a client certificate in the file:
    tokenlab-webhook kubeconfig --certificate-authority pki/ca.crt \\
      --server https://my-authn.kube-system.svc \\
      --client-certificate pki/client.crt --client-key pki/client.key --embed-certs \\
      --out webhook-config.yml

  Then start kube-apiserver with --authentication-token-webhook-config-file=FILE";

/// Print the file by which a kube-apiserver finds and trusts the webhook
///
/// The CA's certificate is in it. So is a client's key with `--embed-certs`: treat the file as one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The webhook's address as the apiserver calls it. Without a path, `/authenticate` is added
    #[arg(long, value_name = "URL", value_parser = server)]
    server: String,

    /// The name that the webhook's certificate must have, when it is not the URL's host
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    tls_server_name: Option<String>,

    /// The CA that signed the webhook's certificate, PEM
    #[arg(long, value_name = "FILE")]
    certificate_authority: PathBuf,

    /// The certificate that the apiserver shows, PEM. Without `--embed-certs` only its path is
    /// printed: the apiserver's own, absolute or from the kubeconfig's folder; it reads the file
    /// again when it changes
    #[arg(long, value_name = "FILE", requires = "client_key", value_parser = NonEmptyStringValueParser::new())]
    client_certificate: Option<String>,

    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "client_certificate", value_parser = NonEmptyStringValueParser::new())]
    client_key: Option<String>,

    /// Read the client's certificate and key here, and print what is in them
    #[arg(long, requires = "client_certificate")]
    embed_certs: bool,

    #[command(flatten)]
    out: Out,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self {
            server,
            tls_server_name,
            certificate_authority,
            client_certificate,
            client_key,
            embed_certs,
            out,
        } = self;
        let certificate_authority = STANDARD.encode(authority(&certificate_authority)?);
        let user = match client_certificate.zip(client_key) {
            None => User::None {},
            Some((certificate, key)) if embed_certs => User::embedded(&certificate, &key)?,
            Some((client_certificate, client_key)) => User::Files {
                client_certificate,
                client_key,
            },
        };
        out.write(&file.yaml(), Failure::Print)
    }
}

/// An address as client-go uses it: it drops the query, and takes no user.
fn server(text: &str) -> Result<String, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "it is no URL")?;
    if uri.scheme_str() != Some("https") {
        return Err("it must begin with `https://`");
    }
    match uri.authority() {
        Some(authority) if !authority.host().is_empty() && !authority.as_str().contains('@') => {}
        _ => return Err("it must have a host and no user"),
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("the apiserver drops what follows the path");
    }
    let text = text.trim_end_matches('/');
    Ok(if uri.path() == "/" {
        format!("{text}{PATH}")
    } else {
        text.to_owned()
    })
}

fn server_name(text: &str) -> Result<String, &'static str> {
    if text.parse::<IpAddr>().is_ok() || DnsName::try_from(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err("neither a DNS name nor an IP address")
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|source| Failure::Read {
        what,
        path: path.to_owned(),
        source,
    })
}

/// Nothing but certificates: what is printed goes to whoever starts the apiserver.
fn authority(path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = read("certificate authority", path)?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem).peekable();
    let sound =
        certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok());
    if !sound {
        return Err(Failure::NoCertificate {
            path: path.to_owned(),
        });
    }
    if PrivateKeyDer::from_pem_slice(&pem).is_ok() {
        return Err(Failure::KeyInAuthority {
            path: path.to_owned(),
        });
    }
    Ok(pem)
}

/// A kubeconfig (`k8s.io/client-go/tools/clientcmd/api/v1/types.go`, v0.37.2) with what a webhook
/// needs of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: &'static str,
    kind: &'static str,
    clusters: [NamedCluster; 1],
    users: [NamedUser; 1],
    contexts: [NamedContext; 1],
    #[serde(rename = "current-context")]
    current_context: &'static str,
}

impl File {
    fn new(cluster: Cluster, user: User) -> Self {
        Self {
            api_version: "v1",
            kind: "Config",
            clusters: [NamedCluster {
                name: "webhook",
                cluster,
            }],
            users: [NamedUser {
                name: "kube-apiserver",
                user,
            }],
            contexts: [NamedContext {
                name: "webhook",
                context: Context {
                    cluster: "webhook",
                    user: "kube-apiserver",
                },
            }],
            current_context: "webhook",
        }
    }
}

#[derive(Serialize)]
struct NamedCluster {
    name: &'static str,
    cluster: Cluster,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    certificate_authority_data: String,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_server_name: Option<String>,
}

#[derive(Serialize)]
struct NamedUser {
    name: &'static str,
    user: User,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "kebab-case")]
enum User {
    None {},
    Files {
        client_certificate: String,
        client_key: String,
    },
    Embedded {
        client_certificate_data: String,
        client_key_data: String,
    },
}

impl User {
    /// A pair that the apiserver would not load is refused here.
    fn embedded(certificate: &str, key: &str) -> Result<Self, Failure> {
        let (certificate, key) = (Path::new(certificate), Path::new(key));
        let chain = read("client certificate", certificate)?;
        let secret = read("client key", key)?;
        Tls::from_pem(&chain, &secret).map_err(|source| Failure::Client {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })?;
        Ok(Self::Embedded {
            client_certificate_data: STANDARD.encode(chain),
            client_key_data: STANDARD.encode(secret),
        })
    }
}

#[derive(Serialize)]
struct NamedContext {
    name: &'static str,
    context: Context,
}

#[derive(Serialize)]
struct Context {
    cluster: &'static str,
    user: &'static str,
}
