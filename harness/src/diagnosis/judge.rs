//! What the findings come to.

use super::config_file::ConfigFileError;
use super::findings::{Findings, Record};
use super::metrics::Calls;
use super::probe::Probed;
use super::sight::{FROM_HERE, Sight, values};
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
        vouched if asked == Some(false) && (vouched.is_some() || refuses(findings)) => {
            Cause::NeverAsked.into()
        }
        _ => Judged::unknown("it could not be seen who knew the token"),
    }
}

/// Whether the webhook refuses the token when it is asked past the apiserver.
fn refuses(findings: &Findings) -> bool {
    let probe = findings.probe.as_ref().ok();
    probe.and_then(Probed::cause) == Some(Cause::Refused)
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
    let cause = match &findings.log {
        Ok(Some(found)) => match found.cause {
            Some(Cause::Refused) => refused(findings),
            // In its own words, which may be anybody's.
            _ if undecided(&findings.record, &findings.probe, &found.error) => Cause::Undecided,
            Some(Cause::Failed) => failed(findings),
            Some(cause @ (Cause::Closed | Cause::Unreached)) => closed(findings, cause),
            Some(cause) => cause,
            None => return Judged::unknown("the log has an error that is not known here"),
        },
        _ => match unlogged(findings) {
            Ok(cause) => cause,
            Err(judged) => return judged,
        },
    };
    if cause == Cause::Refused && findings.fresh {
        if was_asked(findings) != Some(true) && is_wired(findings).is_none() {
            return Judged::unknown(
                "the webhook refuses a token that nobody has, as it should; it could not be seen \
                 whether kube-apiserver asks it",
            );
        }
        return Judged {
            cause: Some(cause),
            ..Judged::healthy(
                "the webhook was asked, and refused a token that nobody has, as it should",
            )
        };
    }
    let mut judged = Judged::from(cause);
    let failed = |probed: &Probed| probed.outcome.is_err() && probed.cause() == Some(cause);
    if findings.way == FROM_HERE && findings.probe.as_ref().is_ok_and(failed) {
        judged.remedy = Some(format!(
            "{}. So it is from here: kube-apiserver's machine may find something else there",
            cause.remedy()
        ));
    }
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

/// Without a line of the log it is what the webhook itself says. What the apiserver counts of its
/// calls goes before that: the way to the webhook may be another one from here.
fn unlogged(findings: &Findings) -> Result<Cause, Judged> {
    let Ok(probe) = &findings.probe else {
        return Err(Judged::unknown("it could not be seen why"));
    };
    let asked = was_asked(findings);
    if asked == Some(false) {
        return Ok(not_asked(findings));
    }
    if let Ok(calls) = &findings.calls {
        match &probe.outcome {
            Err(_) if calls.all_are(200) => {
                return Err(Judged::unknown(
                    "kube-apiserver had an answer of the webhook, which cannot be asked from here: \
                     it could not be seen what is wrong with it",
                ));
            }
            Err(_) if !calls.none_is_answered() => return Ok(failed(findings)),
            Ok(_) if calls.none_is_answered() => return Ok(Cause::Unreached),
            _ => {}
        }
    }
    match probe.cause() {
        Some(Cause::Refused) => Ok(refused(findings)),
        Some(cause) => Ok(cause),
        None if vouched(findings).is_some() && asked == Some(true) && findings.flags.is_err() => {
            if probe.insists {
                // Had it been asked in that version, it would be known.
                return Ok(Cause::OtherVersion);
            }
            Err(other_audiences())
        }
        None => Err(Judged::unknown("it could not be seen why")),
    }
}

/// The apiserver got a refusal that it could read, or has one.
fn refused(findings: &Findings) -> Cause {
    // The log is silent about audiences: `WebhookTokenAuthenticator.AuthenticateToken` returns no
    // error for them (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2).
    let probed = findings.probe.as_ref().ok().and_then(Probed::cause);
    if probed == Some(Cause::OtherAudiences) {
        return Cause::OtherAudiences;
    }
    match was_asked(findings) {
        Some(false) => not_asked(findings),
        _ => Cause::Refused,
    }
}

/// 401, and the webhook was not asked. That a refusal is remembered is known where the webhook told of
/// it, or else where it is the webhook that must have been asked, as it is about others, and the token
/// was shown before.
fn not_asked(findings: &Findings) -> Cause {
    let record = findings.record.as_ref().ok();
    let remembered = record.and_then(|record| record.remembered.as_ref());
    let remembers = matches!(remembered, Some((Outcome::Refused, _)));
    let asks = findings.calls_for_nobody.as_ref();
    let asks = asks.is_some_and(|calls| !calls.is_empty());
    let must = is_wired(findings) == Some(true) || asks;
    let must = must && findings.calls.is_ok() && !findings.fresh;
    if remembers || must {
        Cause::CachedRefusal
    } else {
        Cause::NotAsked
    }
}

/// The webhook was asked and knows the token, and yet it is 401: nothing else is left.
fn other_audiences() -> Judged {
    Judged {
        summary: "the webhook was asked, and knows the token: the audiences that it names are \
                  likely none of kube-apiserver's"
            .to_owned(),
        ..Cause::OtherAudiences.into()
    }
}

/// It got an error, with whatever words the webhook had for it: the status tells which.
fn failed(findings: &Findings) -> Cause {
    let calls = findings.calls.as_ref().ok();
    let probe = findings.probe.as_ref().ok();
    let status = probe.and_then(Probed::status);
    let is =
        |code: u16| calls.is_some_and(|calls: &Calls| calls.all_are(code)) || status == Some(code);
    if [301, 302, 303, 307, 308].into_iter().any(is) {
        Cause::Redirected
    } else if is(404) {
        Cause::OtherPath
    } else if is(405) {
        Cause::OtherMethod
    } else if is(401) || is(403) {
        Cause::RefusedByStatus
    } else {
        Cause::Failed
    }
}

/// The connection ended, or was not made. Over HTTP/2 the apiserver does not see why, when the webhook
/// said so; and TLS has one word for many faults. From here it may be seen.
fn closed(findings: &Findings, cause: Cause) -> Cause {
    let probe = findings.probe.as_ref().ok();
    let probed = probe.filter(|probed| probed.outcome.is_err());
    match probed.and_then(Probed::cause) {
        Some(found @ (Cause::ClientCertificate | Cause::OldTls)) => found,
        Some(found) if cause == Cause::Unreached => found,
        _ => cause,
    }
}

/// Whether an error of the log is what the webhook said of itself.
pub(super) fn undecided(record: &Sight<Record>, probe: &Sight<Probed>, error: &str) -> bool {
    let asked = record.as_ref().map_or(&[][..], |record| &record.asked);
    let recorded = asked.iter().filter_map(|outcome| match outcome {
        Outcome::Undecided { reason } => Some(reason.as_str()),
        _ => None,
    });
    let probed = probe.as_ref().ok().and_then(Probed::undecided);
    let mut reasons = recorded.chain(probed);
    reasons.any(|reason| !reason.is_empty() && error.contains(reason))
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
    // What an apiserver that runs has logged before is no reason; that of a cluster may have been
    // seen between two ends.
    let last = log.lines().rev().find(|line| !line.trim().is_empty());
    let fatal = fatal.filter(|_| findings.flags.is_err() || fatal == last);
    if fatal.is_none() && !findings.answered.is_silence() {
        return Judged::unknown("kubectl could not ask kube-apiserver");
    }
    let says = |words: &str| fatal.is_some_and(|line| line.contains(words));
    let path = findings.path.as_ref().ok();
    let named = path.is_some_and(|path| says(path.as_str()));
    let error = findings.file.as_ref().ok();
    let error = error.and_then(|file| file.as_ref().err());
    let error = error.filter(|_| findings.sees_the_file);
    let missing = error.is_some_and(ConfigFileError::is_of_a_missing_file);
    let cause = if says("no such file or directory") && (named || missing) {
        // It may be there for who looks here: the apiserver may run in a container.
        Cause::FileNotVisible
    } else if UNUSABLE.iter().any(|words| says(words)) {
        Cause::FileUnusable
    } else if fatal.is_some() {
        Cause::Down
    } else if missing {
        Cause::FileNotVisible
    } else if error.is_some_and(ConfigFileError::is_of_the_content) {
        Cause::FileUnusable
    } else {
        Cause::Down
    };
    Judged {
        line: fatal.map(|line| line.trim().to_owned()),
        ..cause.into()
    }
}

#[cfg(test)]
mod tests;
