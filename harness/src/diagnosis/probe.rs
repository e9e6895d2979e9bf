//! The webhook asked as the apiserver asks it: by the same URL, authority, name and client certificate.
//! Where the apiserver's machine is not to be had the way is another one, and the evidence says so.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Instant;

use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use serde_json::Value;
use tokenlab_webhook::{ApiVersion, Token};

use super::sight::Eyes;
use super::{Cause, Certificate};
use crate::assets::chain;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::reviewed::{Reviewed, Verdict, question};
use crate::webhook::{PostError, Seen};

/// What came of it.
#[derive(Debug)]
pub(super) struct Probed {
    /// What the webhook showed.
    pub(super) certificate: Option<Certificate>,
    pub(super) outcome: Result<Reviewed, Unanswered>,
    /// Whether it answers in this version whatever it is asked in.
    pub(super) insists: bool,
    audiences: Vec<String>,
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) cause: Option<Cause>,
    pub(super) said: String,
    pub(super) is_handshake_failure: bool,
}

impl From<String> for Unanswered {
    fn from(said: String) -> Self {
        Self {
            cause: None,
            said,
            is_handshake_failure: false,
        }
    }
}

impl Probed {
    /// Posts a TokenReview, in the version and for the audiences that the apiserver asks for.
    pub(super) async fn ask(
        eyes: &Eyes<'_>,
        config: &Kubeconfig,
        version: ApiVersion,
        token: &Token,
        audiences: Vec<String>,
    ) -> Self {
        let seen = Seen::default();
        let began = Instant::now();
        let body = question(version, token, &audiences);
        let answer = eyes.post(config, body, &seen).await;
        let certificate = seen.get().and_then(|der| Certificate::read(der));
        let outcome = match answer {
            Ok(answer) => {
                let took = began.elapsed();
                Ok(Reviewed::new(version, token, &audiences, &answer, took))
            }
            Err(mut unanswered) => {
                // To who shows no certificate OpenSSL says no more than that over TLS 1.2.
                let shows = !matches!(config.identity, Identity::Anonymous | Identity::Token(_));
                if unanswered.is_handshake_failure && !shows {
                    unanswered.cause = Some(Cause::ClientCertificate);
                }
                // Of one without names rustls says no more than that it has not that one.
                let nameless = certificate.as_ref().is_some_and(|it| it.names.is_empty());
                if unanswered.cause == Some(Cause::OtherName) && nameless {
                    unanswered.cause = Some(Cause::CommonNameOnly);
                }
                Err(unanswered)
            }
        };
        Self {
            certificate,
            outcome,
            insists: false,
            audiences,
        }
    }

    /// With this outcome, for no audience.
    #[cfg(test)]
    pub(super) fn of(outcome: Result<Reviewed, Unanswered>) -> Self {
        Self {
            certificate: None,
            outcome,
            insists: false,
            audiences: Vec::new(),
        }
    }

    /// What would be wrong if the apiserver had seen this; `None` when the token is somebody's, or
    /// when it is not known.
    pub(super) fn cause(&self) -> Option<Cause> {
        match &self.outcome {
            Ok(reviewed) => of_review(reviewed, &self.audiences),
            Err(unanswered) => unanswered.cause,
        }
    }

    /// The HTTP status of the answer.
    pub(super) fn status(&self) -> Option<u16> {
        self.outcome.as_ref().ok().map(|reviewed| reviewed.status)
    }

    /// The webhook's own reason for not telling whose the token is.
    pub(super) fn undecided(&self) -> Option<&str> {
        let reviewed = self.outcome.as_ref().ok()?;
        let error = reviewed.answer["status"]["error"].as_str();
        error.filter(|error| !error.is_empty())
    }
}

/// As the apiserver reads it (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go` and
/// `client-go/rest/request.go`, v0.37.2): kind and version may be left out, audiences count before
/// all that is said of the token.
fn of_review(reviewed: &Reviewed, audiences: &[String]) -> Option<Cause> {
    match reviewed.status {
        200..=299 => {}
        301 | 302 | 303 | 307 | 308 => return Some(Cause::Redirected),
        404 => return Some(Cause::OtherPath),
        405 => return Some(Cause::OtherMethod),
        401 | 403 => return Some(Cause::RefusedByStatus),
        _ => return Some(Cause::Failed),
    }
    let answer = &reviewed.answer;
    let other = |key: &str, right: &str| answer[key].as_str().is_some_and(|it| it != right);
    if !answer.is_object() || other("kind", "TokenReview") {
        return Some(Cause::NoReview);
    }
    if other("apiVersion", &reviewed.api_version) {
        return Some(Cause::OtherVersion);
    }
    let status = &answer["status"];
    let named = status["audiences"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let ours = |named: &Value| audiences.iter().any(|ours| named == ours);
    if !audiences.is_empty() && !named.is_empty() && !named.iter().any(ours) {
        return Some(Cause::OtherAudiences);
    }
    if status["authenticated"] == true {
        return None;
    }
    let undecided = status["error"].as_str().is_some_and(|it| !it.is_empty());
    Some(if undecided {
        Cause::Undecided
    } else {
        Cause::Refused
    })
}

impl From<PostError> for Unanswered {
    fn from(error: PostError) -> Self {
        Self {
            cause: of_error(&error),
            is_handshake_failure: matches!(
                error,
                PostError::Tls(rustls::Error::AlertReceived(
                    AlertDescription::HandshakeFailure
                ))
            ),
            said: chain(&error),
        }
    }
}

fn of_error(error: &PostError) -> Option<Cause> {
    use rustls::Error as E;
    Some(match error {
        PostError::Credentials(_) => Cause::FileUnusable,
        PostError::Unknown { .. } => Cause::NoAddress,
        PostError::NotTls(_) => Cause::PlainHttp,
        PostError::Authority(_) => Cause::UnknownAuthority,
        PostError::Name(_) => Cause::OtherName,
        PostError::Certificate(E::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => Cause::OtherTime,
        PostError::Certificate(E::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
        )) => Cause::OtherUse,
        PostError::Certificate(E::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmContext { .. },
        )) => Cause::WeakSignature,
        PostError::Tls(
            E::AlertReceived(AlertDescription::ProtocolVersion)
            | E::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ),
        ) => Cause::OldTls,
        PostError::Caller(_) => Cause::ClientCertificate,
        PostError::TooLarge => Cause::NoReview,
        PostError::Http(error) if error.is_timeout() => Cause::TimedOut,
        PostError::Http(error) => match kind(error)? {
            io::ErrorKind::ConnectionRefused => Cause::NothingListens,
            io::ErrorKind::ConnectionReset => Cause::Reset,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Cause::NoRoute,
            io::ErrorKind::UnexpectedEof => Cause::Closed,
            _ => return None,
        },
        _ => return None,
    })
}

/// What the system said, somewhere among the causes.
fn kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()))
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(reviewed) => match &reviewed.verdict {
                Verdict::Authenticated { user, .. } => {
                    write!(f, "HTTP {}, authenticated as {user:?}", reviewed.status)
                }
                Verdict::Refused => write!(f, "HTTP {}, refused", reviewed.status),
                Verdict::Failed { reason } => f.write_str(reason),
            },
            Err(unanswered) => f.write_str(&unanswered.said),
        }
    }
}
