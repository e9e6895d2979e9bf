//! What was found, in words.

use std::fmt;

use super::findings::{Findings, Record};
use super::judge::Judged;
use super::sight::{Sight, values};
use super::{Answered, Diagnosis, Evidence, Source};
use crate::diagnostics::Redaction;
use crate::journal::Outcome;
use crate::lab::{CONFIG_FILE_FLAG, VERSION_FLAG};

impl Findings {
    /// What was judged, with what tells so.
    pub(super) fn told(&self, judged: Judged, redaction: &Redaction) -> Diagnosis {
        let mut evidence = Vec::new();
        let mut unseen = Vec::new();
        let mut see = |source, says: Sight<Option<String>>| {
            let (into, says) = match says {
                Ok(Some(says)) => (&mut evidence, says),
                Err(why) => (&mut unseen, why),
                Ok(None) => return,
            };
            let says = redaction.text(&says);
            into.push(Evidence { source, says });
        };
        see(Source::User, Ok(self.user()));
        see(
            Source::Flags,
            self.flags
                .as_deref()
                .map(|flags| Some(self.shown(flags)))
                .map_err(Clone::clone),
        );
        see(
            Source::File,
            match &self.file {
                Ok(Ok(file)) => Ok(Some(file.to_string())),
                Ok(Err(error)) => Ok(Some(error.to_string())),
                // Where no flag names it, that is said already.
                Err(_) if self.flags.is_ok() => Ok(None),
                Err(why) => Err(why.clone()),
            },
        );
        see(
            Source::Log,
            match (&self.log, &judged.line) {
                (_, Some(line)) => Ok(Some(line.clone())),
                (Ok(found), None) => Ok(found.as_ref().map(|found| found.error.clone())),
                (Err(why), None) => Err(why.clone()),
            },
        );
        let wired = matches!(&self.file, Ok(Ok(_)));
        if wired {
            see(Source::Metrics, self.counted());
            see(Source::Record, told(&self.record));
            let certificate = self.probe.as_ref().ok();
            let certificate = certificate.and_then(|probed| probed.certificate.as_ref());
            see(
                Source::Certificate,
                Ok(certificate.map(ToString::to_string)),
            );
            let probed = told(&self.probe);
            see(
                Source::Probe,
                probed.map(|said| said.map(|said| format!("{}{said}", self.way))),
            );
        }
        Diagnosis {
            healthy: judged.healthy,
            answered: self.answered.map(|text| redaction.text(text)),
            cause: judged.cause,
            summary: judged.summary,
            evidence,
            remedy: judged.remedy,
            unseen,
        }
    }

    fn shown(&self, flags: &[String]) -> String {
        let mut shown = shown_flags(flags);
        if self.only_told {
            shown.push_str(
                "; the manifest has it, so what runs was started by another, or has not been started \
                 since",
            );
        }
        shown
    }

    fn counted(&self) -> Sight<Option<String>> {
        let mut counted = told(&self.calls)?;
        if let (Some(counted), Some(calls)) = (&mut counted, &self.calls_for_nobody) {
            *counted = format!("{counted}; for a token that nobody has, {calls}");
        }
        Ok(counted)
    }

    fn user(&self) -> Option<String> {
        let Answered::User {
            name,
            credential: Some(credential),
            ..
        } = &self.answered
        else {
            return None;
        };
        let by = match credential.split_once('=') {
            Some(("X509SHA256", _)) => "a client certificate",
            Some(("JTI", _)) if name.starts_with("system:serviceaccount:") => {
                "a token that kube-apiserver issued"
            }
            // OIDC's have one, too
            // (`apiserver/plugin/pkg/authenticator/token/oidc/oidc.go`, v0.37.2).
            Some(("JTI", _)) => "a token with an ID of its own, such as OIDC's",
            _ => credential,
        };
        Some(format!("known by {by}"))
    }
}

fn told<T: fmt::Display>(seen: &Sight<T>) -> Sight<Option<String>> {
    match seen {
        Ok(seen) => Ok(Some(seen.to_string())),
        Err(why) => Err(why.clone()),
    }
}

/// Those that matter here.
fn shown_flags(flags: &[String]) -> String {
    const MORE: [&str; 4] = [
        VERSION_FLAG,
        "authentication-token-webhook-cache-ttl",
        "api-audiences",
        "token-auth-file",
    ];
    let config = match &*values(flags, CONFIG_FILE_FLAG) {
        [.., path] if !path.is_empty() => format!("--{CONFIG_FILE_FLAG}={path}"),
        _ => format!("no --{CONFIG_FILE_FLAG}"),
    };
    let more = MORE.iter().flat_map(|name| {
        let values = values(flags, name).into_iter();
        values.map(move |value| format!("--{name}={value}"))
    });
    std::iter::once(config)
        .chain(more)
        .collect::<Vec<_>>()
        .join(" ")
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.asked {
            [] => f.write_str("not asked about it")?,
            [said] => write!(f, "asked once: {}", word(said))?,
            [.., said] => write!(f, "asked {} times: {}", self.asked.len(), word(said))?,
        }
        if let Some(fault) = self.fault {
            write!(f, ", with the fault {fault}")?;
        }
        match &self.remembered {
            Some((said, left)) if self.asked.is_empty() => write!(
                f,
                "; kube-apiserver may remember what it said, {}, for {} s",
                word(said),
                left.as_secs()
            ),
            _ => Ok(()),
        }
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Authenticated { user, .. } => format!("authenticated as {user:?}"),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Undecided { reason } => format!("undecided: {reason}"),
        Outcome::Unavailable { reason } => format!("unavailable: {reason}"),
        Outcome::Overloaded { reason } => format!("overloaded: {reason}"),
        Outcome::Played { status } => format!("answered {status}, as it was told to"),
        Outcome::Panicked => "panicked".to_owned(),
        Outcome::Unanswered => "no answer".to_owned(),
    }
}
