//! The webhook of a lab: served inside the lab's owner over a real TLS socket, started by it, or
//! somebody else's.

mod command;
mod connection_fault;
mod contract;
mod credentials;
mod elsewhere;
mod error;
mod observed;
mod post;
mod served;
mod switches;
mod through;

use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::from_fn_with_state;
use camino::Utf8PathBuf;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{ApiVersion, Authenticator, BoxAuthenticator, Mock, Tls};

use crate::journal::Journal;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::named::Part;
use crate::run_folder::RunFolder;
use crate::scripted::{Scripted, stage};
pub use command::{CommandError, WebhookCommand, WebhookPath, WebhookPathError};
pub use connection_fault::{Break, ConnectionFault};
pub(crate) use contract::Contract;
pub use contract::{Words, WordsError};
pub use credentials::CredentialError;
pub(crate) use credentials::{Seen, authorities};
pub use elsewhere::{Elsewhere, ServerNameError, WebhookUrl, WebhookUrlError};
pub use error::WebhookError;
use observed::Observed;
pub use post::{Answer, PostError};
pub(crate) use post::{PATIENCE, Way, answer, post_seeing, tls_of};
use served::Served;
pub use switches::Fault;
use switches::Switches;
pub(crate) use through::post_through;

/// The name in the webhook's certificate: that of its Service in a cluster.
pub const SERVICE_NAME: &str = "my-authn.kube-system.svc";

/// What cannot be done with a webhook that is not served by the lab.
const ASKED: &str = "asked how it is";

/// Where a lab's webhook comes from.
#[derive(Debug)]
#[non_exhaustive]
pub enum WebhookSource {
    /// The lab's owner serves it.
    Served(BoxAuthenticator),
    /// The lab's owner serves it, and plays whatever is scripted.
    Scripted(Scripted),
    /// The lab's owner starts it, and ends it.
    Command(WebhookCommand),
    /// It runs already, and is left alone.
    Elsewhere(Elsewhere),
}

impl Default for WebhookSource {
    /// The mock, served.
    fn default() -> Self {
        Self::served(Mock)
    }
}

impl WebhookSource {
    /// What answers the reviews, served by the lab's owner.
    pub fn served(authenticator: impl Authenticator) -> Self {
        Self::Served(BoxAuthenticator::new(authenticator))
    }

    /// Serves it, starts it, or looks whether it answers reviews of this version.
    pub(crate) async fn open(
        self,
        folder: &RunFolder,
        version: ApiVersion,
    ) -> Result<Webhook, WebhookError> {
        match self {
            Self::Served(authenticator) => Webhook::serve(authenticator),
            Self::Scripted(scripted) => Webhook::scripted(scripted),
            Self::Command(command) => {
                let (running, config) = Box::pin(command.start(folder, version)).await?;
                Ok(Webhook {
                    config,
                    runs: Runs::Command(Box::new(running)),
                    journal: Journal::new(),
                })
            }
            Self::Elsewhere(elsewhere) => Webhook::elsewhere(&elsewhere, version).await,
        }
    }
}

impl From<Scripted> for WebhookSource {
    fn from(scripted: Scripted) -> Self {
        Self::Scripted(scripted)
    }
}

impl From<WebhookCommand> for WebhookSource {
    fn from(command: WebhookCommand) -> Self {
        Self::Command(command)
    }
}

impl From<Elsewhere> for WebhookSource {
    fn from(elsewhere: Elsewhere) -> Self {
        Self::Elsewhere(elsewhere)
    }
}

/// A webhook that answers. One that is the lab's own, or was started by it, ends when this is
/// dropped.
#[derive(Debug)]
pub struct Webhook {
    config: Kubeconfig,
    runs: Runs,
    journal: Journal,
}

/// Who runs it.
#[derive(Debug)]
enum Runs {
    Here(Box<Here>),
    Command(Box<command::Running>),
    Elsewhere,
}

#[derive(Debug)]
struct Here {
    served: Served,
    switches: Switches,
    authority: CertificateAuthority,
}

/// The file for the apiserver to reach a webhook by that has [`SERVICE_NAME`] in its certificate.
///
/// The URL carries the address, `tls-server-name` the name: no DNS record is needed.
fn config(server: String, certificate_authority: &str) -> Kubeconfig {
    Kubeconfig {
        cluster: "my-authn".to_owned(),
        user: "my-apiserver".to_owned(),
        server,
        certificate_authority: certificate_authority.to_owned(),
        tls_server_name: Some(SERVICE_NAME.to_owned()),
        identity: Identity::Anonymous,
    }
}

impl Webhook {
    /// Makes a CA and a serving certificate, listens on a free port of 127.0.0.1, and serves.
    pub fn serve(authenticator: BoxAuthenticator) -> Result<Self, WebhookError> {
        Self::start(authenticator, |router, _| router)
    }

    /// The same, with what is scripted: raw answers, too.
    pub fn scripted(scripted: Scripted) -> Result<Self, WebhookError> {
        Self::start(
            BoxAuthenticator::new(scripted.clone()),
            |router, journal| router.layer(from_fn_with_state((scripted, journal.clone()), stage)),
        )
    }

    fn start(
        authenticator: BoxAuthenticator,
        around: impl FnOnce(Router, &Journal) -> Router,
    ) -> Result<Self, WebhookError> {
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let tls = Tls::from_certificate(&authority.serving(&[SERVICE_NAME])?)?;
        let switches = Switches::default();
        let journal = Journal::new();
        let observed = Observed::new(authenticator, switches.clone(), journal.clone());
        let router = around(observed.router(), &journal);
        let served = Served::start(router, tls).map_err(WebhookError::Listen)?;
        let url = format!(
            "https://127.0.0.1:{}{}",
            served.port(),
            tokenlab_webhook::PATH
        );
        Ok(Self {
            config: config(url, authority.certificate_pem()),
            runs: Runs::Here(Box::new(Here {
                served,
                switches,
                authority,
            })),
            journal,
        })
    }

    /// Looks whether somebody else's answers.
    ///
    /// That it does not is an error, and not a warning: nothing that follows would work, and every
    /// one of its causes looks like the same 401 later. Who knows better says so.
    async fn elsewhere(elsewhere: &Elsewhere, version: ApiVersion) -> Result<Self, WebhookError> {
        let webhook = Self {
            config: elsewhere.kubeconfig(),
            runs: Runs::Elsewhere,
            journal: Journal::new(),
        };
        if elsewhere.is_probed() {
            let answer = webhook.post(post::question(version)).await;
            let answer = answer.map_err(|error| WebhookError::Probe(error.into()))?;
            if !answer.is_review() {
                return Err(WebhookError::NoReview {
                    url: webhook.url(),
                    status: answer.status,
                });
            }
        }
        Ok(webhook)
    }

    /// The URL that TokenReviews are posted to.
    pub fn url(&self) -> String {
        self.config.server.clone()
    }

    /// The CA of its serving certificate, PEM.
    pub fn certificate_authority(&self) -> &str {
        &self.config.certificate_authority
    }

    /// The file that tells kube-apiserver how to reach it
    /// (`--authentication-token-webhook-config-file`).
    pub fn kubeconfig(&self) -> Kubeconfig {
        self.config.clone()
    }

    /// Posts a body to it as the apiserver does, checking its certificate.
    pub async fn post(&self, body: String) -> Result<Answer, WebhookError> {
        let answer = Box::pin(post::post(&self.config, body)).await;
        answer.map_err(|source| WebhookError::Post {
            url: self.url(),
            source,
        })
    }

    /// Whether the lab's owner serves it, and can take it down, slow it, and have it answer wrongly.
    pub fn is_served_here(&self) -> bool {
        matches!(self.runs, Runs::Here(_))
    }

    fn here(&self, what: &'static str) -> Result<&Here, WebhookError> {
        match &self.runs {
            Runs::Here(here) => Ok(here),
            Runs::Command(_) | Runs::Elsewhere => Err(WebhookError::NotServedHere {
                url: self.url(),
                what,
            }),
        }
    }

    /// The command line that serves it, where there is one, as a shell takes it.
    pub fn command_line(&self) -> Option<String> {
        match &self.runs {
            Runs::Command(running) => Some(running.line()),
            Runs::Here(_) | Runs::Elsewhere => None,
        }
    }

    /// The file that the command that serves it logs to, where there is one.
    pub fn log(&self) -> Option<Utf8PathBuf> {
        match &self.runs {
            Runs::Command(running) => Some(running.log()),
            Runs::Here(_) | Runs::Elsewhere => None,
        }
    }

    /// The command that serves it, where there is one, and whether it runs.
    pub fn part(&self) -> Option<Part> {
        match &self.runs {
            Runs::Command(running) => Some(running.part()),
            Runs::Here(_) | Runs::Elsewhere => None,
        }
    }

    /// Resolves when the command that serves it has ended by itself: how, and what its log says last.
    /// One that is served otherwise does not end.
    pub async fn failed(&mut self) -> WebhookError {
        match &mut self.runs {
            Runs::Command(running) => running.failed().await.into(),
            Runs::Here(_) | Runs::Elsewhere => std::future::pending().await,
        }
    }

    /// Stops listening and closes its connections, as if it had crashed: who connects is refused
    /// until [`up`](Self::up). The port stays its own. A second time changes nothing.
    pub async fn down(&self) -> Result<(), WebhookError> {
        let served = &self.here("taken down")?.served;
        self.journal.reachable(false);
        served.down().await;
        Ok(())
    }

    /// Listens again, on the same port and with the same certificate. Nothing changes when it
    /// does already.
    pub async fn up(&self) -> Result<(), WebhookError> {
        let served = &self.here("brought up")?.served;
        served.up().await.map_err(WebhookError::Listen)?;
        self.journal.reachable(true);
        Ok(())
    }

    /// Whether it listens.
    pub async fn is_up(&self) -> Result<bool, WebhookError> {
        Ok(self.here(ASKED)?.served.is_up().await)
    }

    /// From now on every connection meets this fault, and those that are open are closed; `None`
    /// serves again.
    pub async fn break_connections(
        &self,
        fault: Option<ConnectionFault>,
    ) -> Result<(), WebhookError> {
        let served = &self.here("made to break connections")?.served;
        let broken = served.break_connections(fault).await;
        broken.map_err(WebhookError::Listen)
    }

    /// When it broke a connection on purpose, in order.
    pub fn broken(&self) -> Result<Vec<Instant>, WebhookError> {
        Ok(self.here(ASKED)?.served.broken())
    }

    /// From now on it serves with this certificate, or HTTP without TLS. Every connection is closed;
    /// the file that tells the apiserver of it stays as it is.
    pub async fn serve_with(&self, tls: Option<Tls>) -> Result<(), WebhookError> {
        let served = &self.here("given another certificate")?.served;
        served.serve_with(tls).await.map_err(WebhookError::Listen)
    }

    /// The authority of its certificate, to make others.
    pub fn authority(&self) -> Result<&CertificateAuthority, WebhookError> {
        Ok(&self.here(ASKED)?.authority)
    }

    /// From now on every review is answered so much later; zero, the default, is as soon as it
    /// can. The apiserver gives up after 30 s.
    pub fn set_latency(&self, latency: Duration) -> Result<(), WebhookError> {
        self.here("slowed")?.switches.set_latency(latency);
        Ok(())
    }

    /// How much later than it could every review is answered.
    pub fn latency(&self) -> Result<Duration, WebhookError> {
        Ok(self.here(ASKED)?.switches.latency())
    }

    /// From now on every answer has this fault; none by default.
    pub fn set_fault(&self, fault: Option<Fault>) -> Result<(), WebhookError> {
        self.here("made to fail")?.switches.set_fault(fault);
        Ok(())
    }

    /// The fault that every answer has.
    pub fn fault(&self) -> Result<Option<Fault>, WebhookError> {
        Ok(self.here(ASKED)?.switches.fault())
    }

    /// What it was asked and what it said. Of a webhook that is not served here nothing is known.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Stops it, when it is the lab's own: what asks it is gone by now, so no review is waited for. A
    /// command is given two seconds to end by itself.
    pub async fn stop(self) {
        match self.runs {
            Runs::Here(here) => here.served.down().await,
            Runs::Command(running) => running.stop().await,
            Runs::Elsewhere => {}
        }
    }
}

#[cfg(test)]
mod tests;
