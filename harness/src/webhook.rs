//! The webhook of a lab, served inside the lab's owner over a real TLS socket.

mod observed;
mod served;
mod switches;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use tokenlab_webhook::pki::{CertificateAuthority, PkiError};
use tokenlab_webhook::{BoxAuthenticator, Tls, TlsError, router};

use crate::journal::Journal;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::runtime;
use observed::Observed;
use served::Served;
pub use switches::Fault;
use switches::Switches;

/// The name in the webhook's certificate: that of its Service in a cluster.
pub const SERVICE_NAME: &str = "my-authn.kube-system.svc";

/// A running webhook. It ends when this is dropped.
#[derive(Debug)]
pub struct Webhook {
    authority: CertificateAuthority,
    served: Served,
    switches: Switches,
    journal: Journal,
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
    pub fn serve(authenticator: BoxAuthenticator) -> Result<Self, WebhookError> {
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let tls = Tls::from_certificate(&authority.serving(&[SERVICE_NAME])?)?;
        let switches = Switches::default();
        let journal = Journal::new();
        let authenticator = Observed::new(authenticator, switches.clone(), journal.clone());
        let router =
            router(authenticator).layer(from_fn_with_state(switches.clone(), switches::spoil));
        Ok(Self {
            authority,
            served: Served::start(router, tls).map_err(WebhookError::Listen)?,
            switches,
            journal,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.served.port()))
    }

    /// The URL that TokenReviews are posted to.
    pub fn url(&self) -> String {
        format!("https://{}/authenticate", self.address())
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
            self.address().port()
        );
        let answered = async {
            let ca = reqwest::Certificate::from_pem(self.certificate_authority().as_bytes())?;
            let response = reqwest::Client::builder()
                .tls_certs_only([ca])
                .no_proxy()
                .resolve(SERVICE_NAME, self.address())
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

    /// Stops listening and closes its connections, as if it had crashed: who connects is refused
    /// until [`up`](Self::up). The port stays its own. A second time changes nothing.
    pub async fn down(&self) {
        self.journal.reachable(false);
        self.served.down().await;
    }

    /// Listens again, on the same port and with the same certificate. Nothing changes when it
    /// does already.
    pub async fn up(&self) -> Result<(), WebhookError> {
        self.served.up().await.map_err(WebhookError::Listen)?;
        self.journal.reachable(true);
        Ok(())
    }

    /// Whether it listens.
    pub async fn is_up(&self) -> bool {
        self.served.is_up().await
    }

    /// From now on every review is answered so much later; zero, the default, is as soon as it
    /// can. The apiserver gives up after 30 s.
    pub fn set_latency(&self, latency: Duration) {
        self.switches.set_latency(latency);
    }

    /// How much later than it could every review is answered.
    pub fn latency(&self) -> Duration {
        self.switches.latency()
    }

    /// From now on every answer has this fault; none by default.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.switches.set_fault(fault);
    }

    /// The fault that every answer has.
    pub fn fault(&self) -> Option<Fault> {
        self.switches.fault()
    }

    /// What it was asked and what it said.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Stops: what asks it is gone by now, so nothing is waited for.
    pub async fn stop(self) {
        self.served.down().await;
    }
}

#[cfg(test)]
mod tests;
