//! `tokenlab-webhook kubeconfig`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use http::Uri;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use tokenlab_webhook::kubeconfig::{Identity, Kubeconfig};
use tokenlab_webhook::{PATH, Tls};
use x509_parser::parse_x509_certificate;

use super::failure::Failure;
use super::note;
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
        let uri: Option<Uri> = server.parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        if tls_server_name.is_none() && address(host).is_some() {
            note(&format!(
                "the webhook's certificate must have the address {host} in it: if it has the \
                 Service's name, give that with `--tls-server-name`"
            ));
        }
        let identity = match client_certificate.zip(client_key) {
            None => Identity::Anonymous,
            Some((certificate, key)) if embed_certs => embedded(&certificate, &key)?,
            Some((certificate, key)) => Identity::ClientCertificateFiles { certificate, key },
        };
        let file = Kubeconfig {
            cluster: "webhook".to_owned(),
            user: "kube-apiserver".to_owned(),
            server,
            certificate_authority: authority(&certificate_authority)?,
            tls_server_name,
            identity,
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
    let Some(authority) = uri
        .authority()
        .filter(|found| !found.as_str().contains('@'))
    else {
        return Err("it must have a host and no user");
    };
    let host = authority.host();
    if address(host).is_none() && DnsName::try_from(host).is_err() {
        return Err("its host is no DNS name and no address");
    }
    let port = authority.as_str().strip_prefix(host).unwrap_or_default();
    let is_port = |port: &str| port.bytes().all(|c| c.is_ascii_digit());
    match port.strip_prefix(':') {
        None => {}
        Some(port) if is_port(port) && port.parse::<u16>().is_ok_and(|port| port > 0) => {}
        Some(_) => return Err("its port is not a number from 1 to 65535"),
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("the apiserver drops what follows the path");
    }
    // Go's `url.Parse` takes no others, and the apiserver would not start.
    let is_escape = |rest: &str| {
        let hex = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
        hex.count() == 2
    };
    if !uri.path().split('%').skip(1).all(is_escape) {
        return Err("a `%` in its path is not before two hexadecimal digits");
    }
    Ok(match uri.path().trim_end_matches('/') {
        "" => format!("https://{authority}{PATH}"),
        path => format!("https://{authority}{path}"),
    })
}

/// One of IPv6 is within brackets.
fn address(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().map(IpAddr::V6).ok(),
        None => host.parse().map(IpAddr::V4).ok(),
    }
}

fn server_name(text: &str) -> Result<String, &'static str> {
    if text.parse::<IpAddr>().is_ok() || DnsName::try_from(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err("neither a DNS name nor an IP address")
}

pub(super) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|source| Failure::Read {
        what,
        path: path.to_owned(),
        source,
    })
}

/// The text of a file with nothing but certificates: what is printed goes to whoever starts the
/// apiserver, or reads the webhook's namespace.
pub(super) fn authority(path: &Path) -> Result<String, Failure> {
    let broken = || Failure::NoCertificate {
        path: path.to_owned(),
    };
    let pem = String::from_utf8(read("certificate authority", path)?).map_err(|_| broken())?;
    let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).peekable();
    if certificates.peek().is_none() || certificates.any(|certificate| certificate.is_err()) {
        return Err(broken());
    }
    if PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_ok() {
        return Err(Failure::KeyInAuthority {
            path: path.to_owned(),
        });
    }
    Ok(pem)
}

/// A pair that the apiserver would not load, or the webhook would not let in, is refused here.
fn embedded(certificate: &str, key: &str) -> Result<Identity, Failure> {
    let (certificate, key) = (Path::new(certificate), Path::new(key));
    let chain = read("client certificate", certificate)?;
    let secret = read("client key", key)?;
    Tls::from_pem(&chain, &secret).map_err(|source| Failure::Client {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    let leaf = CertificateDer::from_pem_slice(&chain).ok();
    let leaf = leaf.as_deref().map(parse_x509_certificate);
    let Some(Ok((_, leaf))) = leaf else {
        return Err(Failure::NoCertificate {
            path: certificate.to_owned(),
        });
    };
    let certificate = certificate.to_owned();
    let usage = leaf.extended_key_usage();
    let usage = usage.ok().flatten();
    if usage.is_some_and(|usage| !usage.value.client_auth) {
        return Err(Failure::NotAClient { certificate });
    }
    if !leaf.validity().is_valid() {
        return Err(Failure::NotValid { certificate });
    }
    Ok(Identity::ClientCertificate {
        certificate: String::from_utf8_lossy(&chain).into_owned(),
        key: String::from_utf8_lossy(&secret).into_owned(),
    })
}
