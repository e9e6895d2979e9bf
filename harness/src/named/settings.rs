//! How the webhook of a named lab behaves, and what of it can be changed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokenlab_webhook::{Decision, Token, User};

use crate::journal::TokenHash;
use crate::webhook::Fault;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// What a token is answered from now on.
    Token {
        /// The token.
        #[serde(with = "super::secret")]
        token: Token,
        /// The answer; `None` forgets what it was.
        script: Option<Script>,
    },
    /// How much later than it could the webhook answers.
    Latency(Duration),
    /// The fault that its answers have.
    Fault(Option<Fault>),
    /// Whether it listens.
    Up(bool),
}

/// What a token is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Script {
    /// Whose it is.
    Authenticated {
        /// The user's name.
        user: String,
        /// Its uid; empty: none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        uid: String,
        /// Its groups.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
        /// What else is known of it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        extra: BTreeMap<String, Vec<String>>,
        /// Whom the token was made for; empty: not known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        audiences: Vec<String>,
    },
    /// That it is nobody's.
    Refused,
    /// That it could not be found out.
    Undecided {
        /// Why not.
        reason: String,
    },
    /// 503: that it cannot be found out now.
    Unavailable {
        /// Why not.
        reason: String,
    },
    /// 429: that there is too much to do.
    Overloaded {
        /// Of what.
        reason: String,
    },
}

/// How a webhook behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settings {
    /// Whether it listens.
    pub up: bool,
    /// How much later than it could it answers, in microseconds.
    pub latency_us: u64,
    /// The fault that its answers have.
    pub fault: Option<Fault>,
    /// The tokens that have an answer of their own, sorted by hash. Every other one is answered
    /// as the mock does.
    pub tokens: Vec<ScriptedToken>,
    /// How long the apiserver remembers an answer at the most, in seconds: that of a good token. Of
    /// a refused one it is 10 less.
    pub memory_s: u64,
}

/// A token that has an answer of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScriptedToken {
    /// Which token.
    pub token: TokenHash,
    /// For how many more seconds the apiserver may still know the token by what it was answered
    /// last; none when it remembers nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered_s: Option<u64>,
    /// The answer.
    #[serde(flatten)]
    pub script: Script,
}

impl From<Script> for Decision {
    fn from(script: Script) -> Self {
        match script {
            Script::Authenticated {
                user,
                uid,
                groups,
                extra,
                audiences,
            } => {
                let user = User::new(user).with_uid(uid).with_groups(groups);
                let with = |user: User, (key, values)| user.with_extra(key, values);
                Self::Authenticated {
                    user: extra.into_iter().fold(user, with),
                    audiences,
                }
            }
            Script::Refused => Self::Refused,
            Script::Undecided { reason } => Self::Undecided { reason },
            Script::Unavailable { reason } => Self::Unavailable { reason },
            Script::Overloaded { reason } => Self::Overloaded { reason },
        }
    }
}

impl From<Decision> for Script {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Authenticated { user, audiences } => Self::Authenticated {
                user: user.username,
                uid: user.uid,
                groups: user.groups,
                extra: user.extra,
                audiences,
            },
            Decision::Undecided { reason } => Self::Undecided { reason },
            Decision::Unavailable { reason } => Self::Unavailable { reason },
            Decision::Overloaded { reason } => Self::Overloaded { reason },
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_arrives_whole_and_prints_no_token() {
        let decision = Decision::Authenticated {
            user: User::new("ann")
                .with_uid("7")
                .with_groups(["a", "b"])
                .with_extra("example.org/team", ["red", "blue"]),
            audiences: vec!["x".to_owned()],
        };
        let change = Change::Token {
            token: Token::from("canary"),
            script: Some(decision.clone().into()),
        };
        let line = serde_json::to_string(&change).expect("must become JSON");
        let back: Change = serde_json::from_str(&line).expect("must be read back");
        assert_eq!(back, change);
        let Change::Token { script, .. } = back else {
            panic!("must be a token's");
        };
        assert_eq!(script.map(Decision::from), Some(decision));
        assert!(!format!("{change:?}").contains("canary"));
    }
}
