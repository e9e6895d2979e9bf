//! What the findings come to.

use super::findings::{Findings, Record};
use super::metrics::Calls;
use super::probe::Probed;
use super::sight::values;
use super::{Answered, Cause};
use crate::journal::Outcome;
use crate::lab::CONFIG_FILE_FLAG;
use crate::reviewed::Verdict;

/// The judgement.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) healthy: bool,
    pub(super) cause: Option<Cause>,
    pub(super) summary: String,
    pub(super) remedy: Option<String>,
    /// The line of the log that tells so, where it is another than that of the request.
    pub(super) line: Option<String>,
}

impl Judged {
    fn healthy(summary: impl Into<String>) -> Self {
        Self {
            healthy: true,
            cause: None,
            summary: summary.into(),
            remedy: None,
            line: None,
        }
    }

    fn unknown(summary: impl Into<String>) -> Self {
        Self {
            healthy: false,
            ..Self::healthy(summary)
        }
    }
}

impl From<Cause> for Judged {
    fn from(cause: Cause) -> Self {
        Self {
            healthy: false,
            cause: Some(cause),
            summary: cause.to_string(),
            remedy: Some(cause.remedy().to_owned()),
            line: None,
        }
    }
}

/// Says what is wrong, if anything is.
pub(super) fn judge(findings: &Findings) -> Judged {
    match &findings.answered {
        Answered::User { name, .. } => known(findings, name),
        Answered::Unauthorized => unauthorized(findings),
        Answered::Nothing { .. } => down(findings),
        Answered::Other { .. } => Judged::unknown("kube-apiserver answered something else"),
    }
}

/// Whether the webhook is wired in, where that can be seen.
fn is_wired(findings: &Findings) -> Option<bool> {
    let flags = findings.flags.as_ref().ok()?;
    let named = values(flags, CONFIG_FILE_FLAG);
    Some(named.last().is_some_and(|path| !path.is_empty()))
}

/// Whether the webhook was asked because of this request, where that can be seen. Its record is of
/// the token, and is believed first; the metrics are of all requests, and tell of calls that failed
/// before the webhook knew of them.
fn was_asked(findings: &Findings) -> Option<bool> {
    let record = findings.record.as_ref().ok();
    if record.is_some_and(|record| !record.asked.is_empty()) {
        return Some(true);
    }
    let remembers = record.is_some_and(|record| record.remembered.is_some());
    match &findings.calls {
        _ if remembers => Some(false),
        Ok(calls) => Some(!calls.is_empty()),
        Err(_) => record.map(|_| false),
    }
}

fn known(findings: &Findings, name: &str) -> Judged {
    let credential = match &findings.answered {
        Answered::User { credential, .. } => credential.as_deref(),
        _ => None,
    };
    let by_certificate = credential.is_some_and(|credential| credential.starts_with("X509"));
    let asked = was_asked(findings);
    if !findings.has_token {
        return Cause::NoToken.into();
    }
    if by_certificate || (findings.has_certificate && asked != Some(true)) {
        return Cause::CertificateWon.into();
    }
    if name == "system:anonymous" {
        return Cause::NoToken.into();
    }
    if credential.is_some() || is_wired(findings) == Some(false) {
        return Cause::NeverAsked.into();
    }
    if asked == Some(true) {
        return Judged::healthy("the webhook was asked, and knows the token");
    }
    let remembered = findings.record.as_ref().ok();
    let remembered = remembered.and_then(|record| record.remembered.as_ref());
    if matches!(remembered, Some((Outcome::Authenticated { user, .. }, _)) if user == name) {
        return Judged::healthy("kube-apiserver remembers what the webhook said of the token");
    }
    match vouched(findings) {
        // Where nobody keeps a record: it says the same of the token now.
        Some(user) if user == name || name.is_empty() => Judged::healthy(match asked {
            Some(_) => "the webhook knows the token, and kube-apiserver remembers that it does",
            None => "the webhook knows the token",
        }),
        _ => Cause::NeverAsked.into(),
    }
}

/// Whom the webhook takes the token for when it is asked past the apiserver.
fn vouched(findings: &Findings) -> Option<&str> {
    let reviewed = findings.probe.as_ref().ok()?.outcome.as_ref().ok()?;
    match &reviewed.verdict {
        Verdict::Authenticated { user, .. } => Some(user),
        _ => None,
    }
}

fn unauthorized(findings: &Findings) -> Judged {
    if !findings.has_token {
        return Cause::NoToken.into();
    }
    if is_wired(findings) == Some(false) {
        return Cause::FlagNotSet.into();
    }
    let probe = findings.probe.as_ref().ok();
    let cause = match &findings.log {
        Ok(Some(found)) => match found.cause {
            Some(Cause::Refused) => refused(findings),
            Some(Cause::Failed) => failed(findings),
            Some(Cause::Closed) => closed(findings),
            Some(cause) => cause,
            None if undecided(findings, &found.error) => Cause::Undecided,
            None => return Judged::unknown("the log has an error that is not known here"),
        },
        // Without a log, it is what the webhook itself says.
        _ => match probe.and_then(Probed::cause) {
            Some(Cause::Refused) => refused(findings),
            Some(cause) => cause,
            None if vouched(findings).is_some() && was_asked(findings) == Some(false) => {
                Cause::CachedRefusal
            }
            None => return Judged::unknown("it could not be seen why"),
        },
    };
    if cause == Cause::Refused && findings.fresh {
        return Judged {
            cause: Some(cause),
            ..Judged::healthy(
                "the webhook was asked, and refused a token that nobody has, as it should",
            )
        };
    }
    let mut judged = Judged::from(cause);
    // What the probe finds is how it is now; the log tells of what the apiserver knows.
    if findings.log.as_ref().is_ok_and(Option::is_some)
        && !cause.is_of_the_token()
        && vouched(findings).is_some()
    {
        judged.remedy = Some(format!(
            "{}. From here the webhook answers well by the same file: it may have been mended, or \
             the file changed since kube-apiserver was started, which reads it once",
            cause.remedy()
        ));
    }
    judged
}

/// The apiserver got a refusal that it could read, or has one.
fn refused(findings: &Findings) -> Cause {
    // The log is silent about audiences: `WebhookTokenAuthenticator.AuthenticateToken` returns no
    // error for them (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2).
    let probed = findings.probe.as_ref().ok().and_then(Probed::cause);
    if probed == Some(Cause::OtherAudiences) {
        return Cause::OtherAudiences;
    }
    let record = findings.record.as_ref().ok();
    let remembered = record.and_then(|record| record.remembered.as_ref());
    let remembers = matches!(remembered, Some((Outcome::Refused, _)));
    if was_asked(findings) == Some(false) && (remembers || findings.calls.is_ok()) {
        Cause::CachedRefusal
    } else {
        Cause::Refused
    }
}

/// It got an error, with whatever words the webhook had for it: the status tells which.
fn failed(findings: &Findings) -> Cause {
    let calls = findings.calls.as_ref().ok();
    let probe = findings.probe.as_ref().ok();
    let status = probe.and_then(Probed::status);
    let is =
        |code: u16| calls.is_some_and(|calls: &Calls| calls.all_are(code)) || status == Some(code);
    if is(404) {
        Cause::OtherPath
    } else if is(405) {
        Cause::OtherMethod
    } else if is(401) || is(403) {
        Cause::RefusedByStatus
    } else {
        Cause::Failed
    }
}

/// The connection ended. Over HTTP/2 the apiserver does not see why, when the webhook said so.
fn closed(findings: &Findings) -> Cause {
    match findings.probe.as_ref().ok().and_then(Probed::cause) {
        Some(Cause::ClientCertificate) => Cause::ClientCertificate,
        _ => Cause::Closed,
    }
}

/// Whether an error of the log is what the webhook said of itself.
fn undecided(findings: &Findings, error: &str) -> bool {
    let said = |record: &Record| {
        let reasons = record.asked.iter().filter_map(|outcome| match outcome {
            Outcome::Undecided { reason } => Some(reason.as_str()),
            _ => None,
        });
        let reasons: Vec<_> = reasons.collect();
        reasons.iter().any(|reason| error.contains(*reason))
    };
    findings.record.as_ref().is_ok_and(said)
        || findings.probe.as_ref().is_ok_and(|probed| {
            let reason = probed.undecided();
            reason.is_some_and(|reason| error.contains(reason))
        })
}

/// What the apiserver ends with when it cannot use its webhook's file
/// (`client-go/tools/clientcmd`, `client-go/transport`, Go's `crypto/tls`).
const UNUSABLE: [&str; 6] = [
    "error loading config file",
    "invalid configuration: ",
    "unable to load root certificates",
    "specifying a root certificates file",
    "tls: failed to find ",
    "tls: found a certificate rather than a key",
];

fn down(findings: &Findings) -> Judged {
    let log = findings.end_of_log.as_deref().unwrap_or_default();
    let fatal = log.lines().rev().find(|line| {
        let line = line.trim_start();
        line.starts_with("Error: ") || line.contains("\"command failed\"")
    });
    let says = |words: &str| fatal.is_some_and(|line| line.contains(words));
    let path = findings.path.as_ref().ok();
    let missing = says("no such file or directory");
    let file = findings.file.as_ref().ok();
    let cause = match file.and_then(|file| file.as_ref().err()) {
        Some(error) if error.is_of_a_missing_file() => Cause::FileNotVisible,
        Some(_) => Cause::FileUnusable,
        // It is there for who looks here, and not for the apiserver, which may run in a container.
        None if missing && path.is_some_and(|path| says(path.as_str())) => Cause::FileNotVisible,
        None if UNUSABLE.iter().any(|words| says(words)) => Cause::FileUnusable,
        None => Cause::Down,
    };
    Judged {
        line: fatal.map(|line| line.trim().to_owned()),
        ..cause.into()
    }
}
