//! The webhook of a lab, served inside the lab's owner over a real TLS socket.

use std::net::{Ipv4Addr, SocketAddr};

use tokenlab_webhook::pki::{CertificateAuthority, PkiError};
use tokenlab_webhook::{BoxAuthenticator, Server, Tls, TlsError, router};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::kubeconfig::{Identity, Kubeconfig};
use crate::runtime;

/// The name in the webhook's certificate: that of its Service in a cluster.
pub const SERVICE_NAME: &str = "my-authn.kube-system.svc";

/// A running webhook. It ends when this is dropped.
#[derive(Debug)]
pub struct Webhook {
    address: SocketAddr,
    authority: CertificateAuthority,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What the webhook answered to a request that was posted to it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: http::StatusCode,
    /// The body, as it came.
    pub body: String,
}

/// Why there is no webhook, or no answer of it.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Its certificates could not be made.
    #[error("the webhook's certificates could not be made")]
    Pki(#[from] PkiError),
    /// Its certificates could not be used.
    #[error("the webhook's certificate could not be used")]
    Tls(#[from] TlsError),
    /// It could not listen.
    #[error("the webhook could not listen on 127.0.0.1")]
    Listen(#[source] std::io::Error),
    /// A request to it failed.
    #[error("the webhook at `{url}` did not answer")]
    Post {
        /// Where it listens.
        url: String,
        /// What went wrong.
        source: reqwest::Error,
    },
}

impl Webhook {
    /// Makes a CA and a serving certificate, listens on a free port of 127.0.0.1, and serves.
    pub async fn serve(authenticator: BoxAuthenticator) -> Result<Self, WebhookError> {
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let tls = Tls::from_certificate(&authority.serving(&[SERVICE_NAME])?)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (stop, stopped) = oneshot::channel();
        // Socket and tasks belong to the harness's runtime: the test's may end before it does.
        let bound = runtime::handle().spawn(Server::bind(address, Some(tls)));
        let server = (bound.await)
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(WebhookError::Listen)?;
        let address = server.local_addr();
        let task = runtime::handle().spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            server.serve(router(authenticator), stop).await;
        });
        Ok(Self {
            address,
            authority,
            stop,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that TokenReviews are posted to.
    pub fn url(&self) -> String {
        format!("https://{}/authenticate", self.address)
    }

    /// The CA of its serving certificate, PEM.
    pub fn certificate_authority(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// The file that tells kube-apiserver how to reach it
    /// (`--authentication-token-webhook-config-file`).
    ///
    /// The URL carries the address, `tls-server-name` the name that the certificate has: no
    /// DNS record is needed.
    pub fn kubeconfig(&self) -> Kubeconfig {
        Kubeconfig {
            cluster: "my-authn".to_owned(),
            user: "my-apiserver".to_owned(),
            server: self.url(),
            certificate_authority: self.certificate_authority().to_owned(),
            tls_server_name: Some(SERVICE_NAME.to_owned()),
            identity: Identity::Anonymous,
        }
    }

    /// Posts a body to it as the apiserver does, checking its certificate.
    pub async fn post(&self, body: String) -> Result<Answer, WebhookError> {
        runtime::install_crypto_provider();
        let url = format!(
            "https://{SERVICE_NAME}:{}/authenticate",
            self.address.port()
        );
        let answered = async {
            let ca = reqwest::Certificate::from_pem(self.certificate_authority().as_bytes())?;
            let response = reqwest::Client::builder()
                .tls_certs_only([ca])
                .no_proxy()
                .resolve(SERVICE_NAME, self.address)
                .build()?
                .post(&url)
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(body)
                .send()
                .await?;
            Ok(Answer {
                status: response.status(),
                body: response.text().await?,
            })
        };
        answered.await.map_err(|source| WebhookError::Post {
            url: self.url(),
            source,
        })
    }

    /// Lets running reviews end, and stops.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}
