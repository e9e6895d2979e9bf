//! Not everything at once.

use std::fmt;
use std::num::NonZeroUsize;

use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::{Authenticator, Decision, Review};

/// How many reviews are decided at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct LimitConfig {
    /// The most that are decided at once.
    pub at_once: NonZeroUsize,
    /// The most that wait for their turn, in the order in which they came. Default: 0.
    #[serde(default)]
    pub waiting: usize,
}

impl LimitConfig {
    /// `at_once` at once, and none that wait.
    #[must_use]
    pub fn new(at_once: NonZeroUsize) -> Self {
        Self {
            at_once,
            waiting: 0,
        }
    }

    /// The same with as many that wait.
    #[must_use]
    pub fn with_waiting(mut self, waiting: usize) -> Self {
        self.waiting = waiting;
        self
    }
}

/// Lets so many reviews through to an authenticator, and answers the others with
/// [`Decision::Overloaded`]: for one that is slow, or asks something that is. One review that waits
/// holds its token and a stream of its connection.
pub struct Limited<A> {
    inner: A,
    at_once: Semaphore,
    admitted: Semaphore,
}

impl<A: Authenticator> Limited<A> {
    /// Asks `inner` no more than `config` says.
    pub fn new(inner: A, config: LimitConfig) -> Self {
        let at_once = config.at_once.get().min(Semaphore::MAX_PERMITS);
        let admitted = at_once.saturating_add(config.waiting);
        Self {
            inner,
            at_once: Semaphore::new(at_once),
            admitted: Semaphore::new(admitted.min(Semaphore::MAX_PERMITS)),
        }
    }
}

impl<A: Authenticator> Authenticator for Limited<A> {
    async fn authenticate(&self, review: &Review) -> Decision {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Decision::Overloaded {
                reason: "too many reviews wait for the authenticator".to_owned(),
            };
        };
        let _turn = self.at_once.acquire().await;
        self.inner.authenticate(review).await
    }
}

impl<A: fmt::Debug> fmt::Debug for Limited<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
