//! Why there is no webhook, or no answer of it.

use tokenlab_webhook::TlsError;
use tokenlab_webhook::pki::PkiError;

use super::command::CommandError;
use super::post::PostError;

/// Why there is no webhook, or no answer of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
        source: PostError,
    },
    /// It was asked before the lab is started, and it failed.
    #[error(transparent)]
    Probe(Box<Self>),
    /// What answers there is no webhook for TokenReviews.
    #[error("the webhook at `{url}` answers a TokenReview with {status}, and no TokenReview")]
    NoReview {
        /// Where it is.
        url: String,
        /// The HTTP status.
        status: http::StatusCode,
    },
    /// The command that starts it failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Only the lab's own can be changed.
    #[error("the webhook at `{url}` is not served by the lab: it cannot be {what}")]
    NotServedHere {
        /// Where it is.
        url: String,
        /// What was asked for.
        what: &'static str,
    },
}

impl WebhookError {
    /// Whether it names a log in the run folder.
    pub(crate) fn has_a_log(&self) -> bool {
        matches!(self, Self::Command(error) if error.has_a_log())
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Command(error) => return error.hint(),
            Self::Probe(error) => match &**error {
                Self::Post { source, .. } if source.may_pass() => {
                    "start it first; or do not look: `--no-probe`, and it may come later"
                }
                error => return error.hint(),
            },
            Self::Post { source, .. } => match source {
                PostError::Authority(_) => "give the authority of its certificate: `--ca`",
                PostError::Name(_) => {
                    "give one of its certificate's subject alternative names: `--server-name`"
                }
                PostError::Caller(_) => {
                    "give a certificate that it takes: `--client-cert` and `--client-key`"
                }
                PostError::NotTls(_) => "it must serve TLS: kube-apiserver sends tokens",
                error if error.may_pass() => "it must run: start it",
                _ => return None,
            },
            Self::NoReview { .. } => "the URL has the path too, such as `/authenticate`",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
