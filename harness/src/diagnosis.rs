//! Why a request with a token was not authenticated by the webhook.
//!
//! To the user every failure is the same `401 Unauthorized`. One request is made, and all that there
//! is to see of it is looked at: the flags of the running kube-apiserver, its log and its metrics, the
//! webhook's file, the webhook's own record, and the webhook itself, asked as the apiserver asks it.

mod cause;
mod certificate;
mod config_file;
mod evidence;
mod findings;
mod judge;
mod log;
mod metrics;
mod probe;
mod request;
mod sight;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::backend::MockLab;
use crate::cluster::Cluster;
use crate::lab::Lab;

pub use cause::Cause;
pub(crate) use certificate::Certificate;
pub(crate) use findings::diagnose;
pub(crate) use log::{INVALID_TOKEN, UNAUTHENTICATED};
pub use log::{LogMark, Unauthenticated};
pub(crate) use request::secret;
pub use request::{Answered, Shown};
pub(crate) use sight::Eyes;

/// What came of a request, and why. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Whether the webhook did its part: it was asked, and its answer counted.
    pub healthy: bool,
    /// What the apiserver made of the request: as JSON `answer`, and what belongs to it.
    #[serde(flatten)]
    pub answered: Answered,
    /// What is wrong, or was found out about a token; `None` when the webhook knows the token, or when
    /// it is not known what is wrong.
    pub cause: Option<Cause>,
    /// All of it in a sentence without its end.
    pub summary: String,
    /// What tells so.
    pub evidence: Vec<Evidence>,
    /// What to do, as a sentence without its end; `None` when nothing is wrong, or not known.
    pub remedy: Option<String>,
    /// What could not be seen, and why.
    pub unseen: Vec<Evidence>,
}

/// Something that was seen, or was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// Where.
    pub source: Source,
    /// What, as a fragment. No token and no key is in it.
    pub says: String,
}

/// Where something is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// The flags of the running kube-apiserver.
    Flags,
    /// The webhook's file.
    File,
    /// kube-apiserver's log.
    Log,
    /// kube-apiserver's metrics.
    Metrics,
    /// The webhook's record.
    Record,
    /// The certificate that the webhook shows.
    Certificate,
    /// The webhook's answer to the same question, asked past the apiserver by the webhook's file: the
    /// same authority, name and client certificate. In a lab of one's own it is asked from the
    /// apiserver's machine. In a cluster that is somebody else's it is asked from here, by the file's
    /// URL or, where the webhook was deployed by a lab, by a port-forward to its Pod: what is said
    /// begins with that, as the apiserver's own way may be broken, or another one.
    Probe,
    /// How the apiserver knows the user.
    User,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flags => "flags",
            Self::File => "file",
            Self::Log => "log",
            Self::Metrics => "metrics",
            Self::Record => "record",
            Self::Certificate => "certificate",
            Self::Probe => "probe",
            Self::User => "user",
        })
    }
}

/// What others say, with its control characters as escapes: it forges no line of ours, and does
/// nothing to a terminal.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for char in text.chars() {
        if char.is_control() {
            line.extend(char.escape_debug());
        } else {
            line.push(char);
        }
    }
    line
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            answered,
            cause,
            summary,
            evidence,
            remedy,
            unseen,
            healthy: _,
        } = self;
        f.write_str(&one_line(&answered.to_string()))?;
        if let Some(cause) = cause {
            // As in JSON.
            f.write_str(" [")?;
            cause.serialize(&mut *f)?;
            f.write_str("]")?;
        }
        writeln!(f, ": {summary}")?;
        for Evidence { source, says } in evidence {
            writeln!(f, "  {source:<11}  {}", one_line(says))?;
        }
        for Evidence { source, says } in unseen {
            writeln!(f, "  {source:<11}  not seen: {}", one_line(says))?;
        }
        match remedy {
            Some(remedy) => writeln!(f, "what to do: {remedy}"),
            None => Ok(()),
        }
    }
}

impl Lab {
    /// Makes one request that shows this, and says what came of it and why. With a webhook that does
    /// not answer it takes half a minute, as long as the apiserver waits; where nothing answers, each
    /// look has an end, and all of them together take less than four minutes.
    ///
    /// The webhook is asked twice: by the apiserver, and past it. Both are calls on record, and take
    /// an act each of a [`Play`](crate::Play), in no order.
    pub async fn diagnose(&self, shown: &Shown) -> Diagnosis {
        diagnose(Eyes::Bare(self), shown).await
    }
}

impl Cluster {
    /// The same as [`Lab::diagnose`].
    pub async fn diagnose(&self, shown: &Shown) -> Diagnosis {
        diagnose(Eyes::Cluster(self), shown).await
    }
}

impl MockLab {
    /// The same as [`Lab::diagnose`].
    pub async fn diagnose(&self, shown: &Shown) -> Diagnosis {
        let eyes = match self {
            Self::Bare(lab) => Eyes::Bare(lab),
            Self::Cluster(cluster) => Eyes::Cluster(cluster),
            Self::Existing(existing, operator) => Eyes::Existing(existing, operator),
        };
        diagnose(eyes, shown).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_forges_no_line() {
        let said = "no\n\nwhat to do: rm -rf\u{1b}[31m".to_owned();
        let diagnosis = Diagnosis {
            healthy: false,
            answered: Answered::Other { said: said.clone() },
            cause: Some(Cause::NothingListens),
            summary: "it is so".to_owned(),
            evidence: vec![Evidence {
                source: Source::Record,
                says: said.clone(),
            }],
            remedy: None,
            unseen: vec![Evidence {
                source: Source::Log,
                says: said,
            }],
        };
        let text = diagnosis.to_string();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains(" [nothing-listens]: it is so\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
