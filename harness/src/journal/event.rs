//! One line of the journal.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokenlab_webhook::Decision;

use super::hash::TokenHash;
use crate::webhook::Fault;

/// A token that was decided about: by the webhook, or by the apiserver from what it remembered.
///
/// As JSON it is one flat object; what is not known is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReviewEvent {
    /// When the review, or the request that was answered without one, arrived (UTC).
    pub when: Timestamp,
    /// Which token. None when that cannot be told: the audit log has no tokens, and two of them
    /// may be one user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenHash>,
    /// The version that the apiserver asked in; none when it did not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// The audiences that it asked for, the first 16; empty when it did not ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// What came of it: as JSON `decision`, and what belongs to it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long the webhook took, as JSON `latency_us`; none when it was not asked.
    #[serde(
        default,
        rename = "latency_us",
        with = "microseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub latency: Option<Duration>,
    /// Whether the webhook was asked, and by whom.
    pub source: Source,
    /// The fault that the answer was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// What was decided about a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// It is this user's.
    Authenticated {
        /// The user's name; empty when it is not known.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        user: String,
        /// Its uid; empty when it has none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        uid: String,
        /// Its groups, as the webhook gave them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
    },
    /// It is nobody's.
    Refused,
    /// It could not be found out whose it is.
    Undecided {
        /// Why not.
        reason: String,
    },
    /// 503: it cannot be found out now.
    Unavailable {
        /// Why not.
        reason: String,
    },
    /// 429: there is too much to do.
    Overloaded {
        /// Of what.
        reason: String,
    },
    /// An answer that is not the product's was played.
    Played {
        /// Its HTTP status.
        status: u16,
    },
    /// 500: the authenticator panicked.
    Panicked,
    /// The review got no answer: the caller went away first, or the webhook was taken down.
    Unanswered,
}

/// How a decision came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// The apiserver asked the webhook.
    Asked,
    /// Somebody else asked it: `tokenlab review`, or `curl`. The apiserver knows nothing of that.
    Direct,
    /// The apiserver remembered an earlier answer.
    Cached,
    /// A request was refused, and no review of it arrived: the apiserver could not reach the
    /// webhook, or the request had no token, or a certificate that failed too. With the webhook down the apiserver may as well
    /// have remembered a refusal.
    NoCall,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Asked => "asked",
            Self::Direct => "direct",
            Self::Cached => "cached",
            Self::NoCall => "no-call",
        })
    }
}

impl From<&Decision> for Outcome {
    fn from(decision: &Decision) -> Self {
        match decision {
            Decision::Authenticated { user, .. } => Self::Authenticated {
                user: user.username.clone(),
                uid: user.uid.clone(),
                groups: user.groups.clone(),
            },
            Decision::Undecided { reason } => Self::Undecided {
                reason: reason.clone(),
            },
            Decision::Unavailable { reason } => Self::Unavailable {
                reason: reason.clone(),
            },
            Decision::Overloaded { reason } => Self::Overloaded {
                reason: reason.clone(),
            },
            _ => Self::Refused,
        }
    }
}

impl ReviewEvent {
    /// When the webhook was done with it.
    pub(crate) fn end(&self) -> Timestamp {
        let took = jiff::SignedDuration::try_from(self.latency.unwrap_or_default());
        (self.when)
            .saturating_add(took.unwrap_or_default())
            .unwrap_or(self.when)
    }
}

/// The audiences of a question, as many and as much of each as is kept: anyone on this machine can
/// post a question of a mebibyte.
pub(crate) fn clipped(audiences: &[String]) -> Vec<String> {
    let clip = |audience: &String| match audience.char_indices().nth(256) {
        Some((end, _)) => format!("{}…", &audience[..end]),
        None => audience.clone(),
    };
    audiences.iter().take(16).map(clip).collect()
}

/// A length of time as whole microseconds.
mod microseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde's shape")]
    pub(super) fn serialize<S: Serializer>(
        latency: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let microseconds = latency.unwrap_or_default().as_micros();
        serializer.serialize_u64(u64::try_from(microseconds).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        u64::deserialize(deserializer).map(|latency| Some(Duration::from_micros(latency)))
    }
}
