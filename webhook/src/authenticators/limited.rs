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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt as _;

    use super::*;
    use crate::User;

    /// Answers as often as it is let.
    struct Held(Arc<Semaphore>);

    impl Authenticator for Held {
        async fn authenticate(&self, _review: &Review) -> Decision {
            self.0.acquire().await.expect("open").forget();
            Decision::authenticated(User::new("ann"))
        }
    }

    #[tokio::test]
    async fn more_than_that_are_told_so() {
        let gate = Arc::new(Semaphore::new(0));
        let two = NonZeroUsize::new(2).expect("not 0");
        let config = LimitConfig::new(two).with_waiting(1);
        let limited = Limited::new(Held(Arc::clone(&gate)), config);
        let review = Review::new("token");
        let ask = || Box::pin(limited.authenticate(&review));
        let (mut first, mut second, mut third) = (ask(), ask(), ask());
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        let fourth = ask().now_or_never().expect("no wait");
        assert!(matches!(fourth, Decision::Overloaded { .. }), "{fourth:?}");

        // Only two have reached the authenticator: the third's turn comes with the first's end.
        gate.add_permits(3);
        assert!((&mut third).now_or_never().is_none());
        let ann = Decision::authenticated(User::new("ann"));
        assert_eq!(first.await, ann);
        assert_eq!(third.await, ann);
        // One that its caller leaves makes room, too.
        let held = [ask(), ask()].map(|mut review| {
            assert!((&mut review).now_or_never().is_none());
            review
        });
        drop((held, second));
        gate.add_permits(1);
        assert_eq!(ask().await, ann);
    }
}
