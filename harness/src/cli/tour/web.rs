//! Webhooks that the tour serves beside the lab's own.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokenlab_harness::{Identity, Kubeconfig, SERVICE_NAME, Webhook};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Mock, RouterBuilder, Server, Tls, Token};
use tokio::task::JoinHandle;
use url::Url;

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
        let lenient = tls.is_none();
        let server = Server::bind(any, tls).await;
        let server = server.context("no port on 127.0.0.1 could be taken")?;
        // As the program has it without TLS: for the tutorial's own `curl`.
        let router = RouterBuilder::new(Mock).lenient_content_type(lenient);
        Ok(Self {
            address: server.local_addr(),
            task: tokio::spawn(server.serve(router.build(), std::future::pending())),
        })
    }
}

/// Where a webhook on this machine listens.
pub(super) fn address(webhook: &Webhook) -> anyhow::Result<SocketAddr> {
    let addresses = Url::parse(&webhook.url())?.socket_addrs(|| None)?;
    addresses.into_iter().next().context("it listens nowhere")
}
