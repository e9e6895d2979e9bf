//! Webhooks that the tour serves beside the lab's own, and what there is to see of one.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokenlab_harness::{Identity, Kubeconfig, SERVICE_NAME, Webhook};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Mock, PATH, Server, Tls, Token, router};
use tokio::task::JoinHandle;
use url::Url;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// A webhook that knows everybody. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    /// Without TLS.
    pub(super) async fn plain() -> anyhow::Result<Self> {
        Self::start(None).await
    }

    /// With a certificate whose common name is the service's, and that has no other name; and how
    /// a client reaches it.
    pub(super) async fn by_common_name() -> anyhow::Result<(Self, Kubeconfig)> {
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        // A client's certificate is one without names.
        let certificate = authority.client(SERVICE_NAME, &[])?;
        let served = Self::start(Some(Tls::from_certificate(&certificate)?)).await?;
        let kubeconfig = Kubeconfig {
            cluster: "cn-only".to_owned(),
            user: "anybody".to_owned(),
            server: format!("https://{}", served.address),
            certificate_authority: authority.certificate_pem().to_owned(),
            tls_server_name: Some(SERVICE_NAME.to_owned()),
            // kubectl asks for a name and a password when it has nothing.
            identity: Identity::Token(Token::from("anybody")),
        };
        Ok((served, kubeconfig))
    }

    /// With a good certificate; and its CA.
    pub(super) async fn tls() -> anyhow::Result<(Self, String)> {
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let certificate = authority.serving(&[SERVICE_NAME])?;
        let served = Self::start(Some(Tls::from_certificate(&certificate)?)).await?;
        Ok((served, authority.certificate_pem().to_owned()))
    }

    async fn start(tls: Option<Tls>) -> anyhow::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(any, tls).await;
        let server = server.context("no port on 127.0.0.1 could be taken")?;
        Ok(Self {
            address: server.local_addr(),
            task: tokio::spawn(server.serve(router(Mock), std::future::pending())),
        })
    }

    /// Where reviews are posted to.
    pub(super) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }
}

/// Where a webhook on this machine listens.
pub(super) fn address(webhook: &Webhook) -> anyhow::Result<SocketAddr> {
    let addresses = Url::parse(&webhook.url())?.socket_addrs(|| None)?;
    addresses.into_iter().next().context("it listens nowhere")
}

/// A client without a proxy, which trusts this CA alone; the service's name is at this address.
pub(super) fn client(
    authority: Option<&str>,
    address: SocketAddr,
) -> anyhow::Result<reqwest::Client> {
    // Whoever comes first; the library installs the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = authority.map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()));
    let client = reqwest::Client::builder()
        .tls_certs_only(authority.transpose()?)
        .tls_info(true)
        .no_proxy()
        .resolve(SERVICE_NAME, address)
        .build()?;
    Ok(client)
}

/// What the certificate says that this webhook shows: as `openssl x509` prints it.
pub(super) async fn certificate(authority: &str, address: SocketAddr) -> anyhow::Result<String> {
    let url = format!("https://{SERVICE_NAME}:{}/livez", address.port());
    let answer = client(Some(authority), address)?.get(url).send().await?;
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>();
    let der = info.and_then(reqwest::tls::TlsInfo::peer_certificate);
    let der = der.context("the webhook showed no certificate")?;
    let (_, certificate) = X509Certificate::from_der(der)?;
    let names = certificate.subject_alternative_name()?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let names: Vec<String> = names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => format!("DNS:{name}"),
            other => other.to_string(),
        })
        .collect();
    let usage = certificate.extended_key_usage()?;
    let serves = usage.is_some_and(|usage| usage.value.server_auth);
    let validity = certificate.validity();
    Ok(format!(
        "subject={}\nissuer={}\nnotBefore={}\nnotAfter={}\n\
         X509v3 Subject Alternative Name:\n    {}\n\
         X509v3 Extended Key Usage:\n    {}",
        certificate.subject(),
        certificate.issuer(),
        validity.not_before,
        validity.not_after,
        names.join(", "),
        if serves {
            "TLS Web Server Authentication"
        } else {
            "none for servers"
        },
    ))
}
