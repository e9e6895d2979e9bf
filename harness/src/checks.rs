//! Checks of the TokenReview protocol, for webhooks that are anybody's.
//!
//! [`CHECKS`] is the table: what a webhook must do so that kube-apiserver understands it, and what
//! it should do so that nobody is harmed. [`Checks`] runs it against a webhook, past the apiserver,
//! by the file that tells the apiserver how to reach it.

mod answers;
mod certificate;
mod malformed;
mod subject;
mod table;
mod transport;
mod versions;

use std::fmt;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use serde::Serialize;
use tokenlab_webhook::Token;
use tokio::time::timeout;

use crate::assets::chain;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::reviewed::hide_in;
use crate::scripted::fresh_token;
use crate::webhook::{PATIENCE, PostError};
use certificate::Presented;
use subject::Subject;
pub use table::CHECKS;

/// What every clock can count to, ten times.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// So many times that is what a check may take: an answer that is late is one still.
const EACH: u32 = 2;

/// So many times that is what all of them may take together.
const ALL: u32 = 10;

/// How many characters of what was seen are told.
const SHOWN: usize = 200;

/// One thing that a webhook is looked at for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Check {
    /// Its name: words with hyphens.
    pub name: &'static str,
    /// What the webhook does, when it passes: a sentence without a full stop.
    pub what: &'static str,
    /// What happens when it does not, likewise.
    pub why: &'static str,
    /// Where that is written: a file of Kubernetes' or Go's and its version, or a standard.
    pub source: &'static str,
    /// How much it matters.
    pub severity: Severity,
    run: Run,
}

/// How much a check matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// kube-apiserver does not authenticate by it, or authenticates the wrong ones.
    Must,
    /// It works, and somebody suffers: the webhook by load, or who looks for a fault.
    Should,
}

/// How a check is made.
#[derive(Debug)]
enum Run {
    /// By a look at the certificate that it serves.
    Look(fn(&Presented) -> Seen),
    /// By questions.
    Ask(fn(&Subject) -> BoxFuture<'_, Seen>),
    /// By how long the answers took until then.
    Time(fn(&Subject) -> Seen),
}

/// What was seen of a webhook that passes, or why it does not.
type Seen = Result<String, Not>;

/// Why a check did not pass.
#[derive(Debug)]
enum Not {
    /// This was seen instead.
    But(String),
    /// It was not made.
    Made(String),
}

impl From<PostError> for Not {
    fn from(error: PostError) -> Self {
        Self::But(chain(&error))
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
#[non_exhaustive]
pub enum Outcome {
    /// The webhook does so.
    Passed {
        /// What was seen: a fragment, without tokens.
        seen: String,
    },
    /// It does not.
    Failed {
        /// What was seen instead: a fragment, without tokens.
        seen: String,
    },
    /// It was not looked at.
    Skipped {
        /// Why not.
        because: String,
    },
}

/// A check and what came of it. As JSON: the check's fields, `outcome`, and `seen` or `because`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// [`Check::name`].
    pub name: &'static str,
    /// [`Check::what`].
    pub what: &'static str,
    /// [`Check::why`].
    pub why: &'static str,
    /// [`Check::source`].
    pub source: &'static str,
    /// [`Check::severity`].
    pub severity: Severity,
    /// What came of it.
    #[serde(flatten)]
    pub result: Outcome,
}

/// The checks of one webhook.
#[derive(Debug)]
#[must_use]
pub struct Checks {
    config: Kubeconfig,
    known: Option<Token>,
    unknown: Token,
    audiences: Vec<String>,
    patience: Duration,
}

impl Checks {
    /// Those of the webhook that this file tells kube-apiserver of.
    pub fn against(config: &Kubeconfig) -> Self {
        Self {
            config: config.clone(),
            known: None,
            unknown: fresh_token(),
            audiences: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// A token that the webhook knows; without one, what needs it is skipped. It is shown to the
    /// webhook alone.
    pub fn known(mut self, token: Token) -> Self {
        self.known = Some(token);
        self
    }

    /// A token that it does not know; by default a fresh one.
    pub fn unknown(mut self, token: Token) -> Self {
        self.unknown = token;
        self
    }

    /// The audiences that it is asked for, as by an apiserver with these `--api-audiences`; none by
    /// default.
    pub fn audiences<A: Into<String>>(mut self, audiences: impl IntoIterator<Item = A>) -> Self {
        self.audiences = audiences.into_iter().map(Into::into).collect();
        self
    }

    /// How long an answer may take: an hour at the most, and by default 30 seconds, which is what
    /// kube-apiserver gives a webhook. A check that takes twice as long has failed.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.min(LONGEST);
        self
    }

    /// Makes all of them, one after the other. Of a webhook that does not answer the rest is
    /// skipped, and so is what could last longer than ten times that [patience](Self::patience),
    /// all together: five minutes by default.
    pub async fn run(self) -> Vec<Finding> {
        let subject = Subject::new(self);
        let patience = subject.patience;
        let late = |limit| format!("there was no answer within {limit:?}");
        let end = Instant::now() + patience * ALL;
        let served = timeout(patience, Presented::of(&subject.config)).await;
        let served = served.unwrap_or_else(|_| Err(late(patience)));
        let mut answers = true;
        let mut findings = Vec::with_capacity(CHECKS.len());
        for check in CHECKS {
            let seen = match (&check.run, &served) {
                (Run::Look(look), Ok(served)) => look(served),
                (Run::Look(_), Err(why)) => Err(Not::Made(format!("it showed none: {why}"))),
                _ if !answers => Err(Not::Made("it does not answer".to_owned())),
                (Run::Time(judge), _) => judge(&subject),
                (Run::Ask(ask), _) => {
                    let limit = patience * EACH;
                    if Instant::now() + limit > end {
                        let why = "the others took the time for it";
                        Err(Not::Made(why.to_owned()))
                    } else {
                        let asked = timeout(limit, ask(&subject)).await;
                        asked.unwrap_or_else(|_| Err(Not::But(late(limit))))
                    }
                }
            };
            answers &= check.name != table::ANSWERS || seen.is_ok();
            findings.push(check.found(seen, &subject));
        }
        findings
    }
}

impl Check {
    fn found(&self, seen: Seen, subject: &Subject) -> Finding {
        let hidden = |mut text: String| {
            let own = match &subject.config.identity {
                Identity::Token(token) => Some(token),
                _ => None,
            };
            for token in subject.known.iter().chain([&subject.unknown]).chain(own) {
                hide_in(&mut text, token.expose());
            }
            // Only now: half a token is one that is not found.
            match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        };
        Finding {
            name: self.name,
            what: self.what,
            why: self.why,
            source: self.source,
            severity: self.severity,
            result: match seen {
                Ok(seen) => Outcome::Passed { seen: hidden(seen) },
                Err(Not::But(seen)) => Outcome::Failed { seen: hidden(seen) },
                Err(Not::Made(why)) => Outcome::Skipped {
                    because: hidden(why),
                },
            },
        }
    }
}

impl Finding {
    /// Whether the webhook does otherwise than it must or should.
    pub fn has_failed(&self) -> bool {
        matches!(self.result, Outcome::Failed { .. })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "must",
            Self::Should => "should",
        })
    }
}

impl fmt::Display for Finding {
    /// One line; of one that failed a second one says what follows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, what, .. } = self;
        match &self.result {
            Outcome::Passed { seen } => write!(f, "passed   {name}: {what} ({seen})"),
            Outcome::Skipped { because } => write!(f, "skipped  {name}: {because}"),
            Outcome::Failed { seen } => {
                let Self { severity, why, .. } = self;
                write!(
                    f,
                    "failed   {name} ({severity}): {what}; but {seen}\n         {why}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
