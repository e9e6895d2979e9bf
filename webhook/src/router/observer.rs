//! What is told of each request, for metrics and logs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::{Review, User};

/// Learns of every request that reaches the webhook, probes of `/livez` aside.
///
/// It is called within the connection's task: count and return. `()` observes nothing.
pub trait Observer: Send + Sync + 'static {
    /// A request's head was read. Exactly one [`Observer::ended`] follows, also when the caller
    /// goes away, so that the difference of both is what is in flight.
    fn started(&self) {}

    /// The answer is known, or nobody waits for it any more.
    fn ended(&self, request: &Ended<'_>);
}

impl Observer for () {
    fn ended(&self, _request: &Ended<'_>) {}
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn started(&self) {
        O::started(self);
    }

    fn ended(&self, request: &Ended<'_>) {
        O::ended(self, request);
    }
}

/// A request at its end.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// What became of it.
    pub outcome: Outcome,
    /// The answer's status; none when the caller went away before there was one.
    pub code: Option<StatusCode>,
    /// From its head to its answer. The body's way here is part of it, the answer's way is not.
    pub duration: Duration,
    /// What was asked: the token, the version, who called. None when it was no review.
    pub review: Option<&'a Review>,
    /// Whose the token is, if it is [`Outcome::Authenticated`].
    pub user: Option<&'a User>,
    /// Why it was not decided. It may have an authenticator's words in it, or a caller's: control
    /// characters too, but no token unless an authenticator puts it there.
    pub reason: Option<&'a str>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// 200: the token is good.
    Authenticated,
    /// 200: the token is not good.
    Refused,
    /// 200 with an error in the review's status: it could not be found out, or the authenticator
    /// named a user that no webhook may name.
    Undecided,
    /// 503: the authenticator cannot answer now.
    Unavailable,
    /// 429: the authenticator, or the limit of reviews in flight, takes no more.
    Overloaded,
    /// 503: the authenticator took too long.
    TimedOut,
    /// 500: the authenticator panicked.
    Panicked,
    /// 400, 404, 405, 413 or 415: it was no review.
    Malformed,
    /// No answer: the caller went away, or the server was stopped.
    Abandoned,
}

impl Outcome {
    /// All of them, for metrics that start at zero.
    pub const ALL: [Self; 9] = [
        Self::Authenticated,
        Self::Refused,
        Self::Undecided,
        Self::Unavailable,
        Self::Overloaded,
        Self::TimedOut,
        Self::Panicked,
        Self::Malformed,
        Self::Abandoned,
    ];

    /// One word in lower case, `timed_out` excepted, which is two.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticated => "authenticated",
            Self::Refused => "refused",
            Self::Undecided => "undecided",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
            Self::Malformed => "malformed",
            Self::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
