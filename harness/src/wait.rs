//! Waiting for a condition: level-triggered, bounded, and never silent about what it last saw.

use std::borrow::Cow;
use std::time::{Duration, Instant};

/// What one look at a condition found.
#[derive(Debug)]
pub enum Probe<T, E> {
    /// The condition holds.
    Ready(T),
    /// Not yet; the text says what was seen, as a fragment (`` `/readyz` answered 500 ``).
    NotYet(Cow<'static, str>),
    /// It can never hold.
    Fatal(E),
}

/// How often to look, and for how long at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The pause between two looks.
    pub every: Duration,
    /// The bound on the whole wait. Generous: it only ends what would never come.
    pub within: Duration,
}

/// Why a wait ended without its condition.
#[derive(Debug, thiserror::Error)]
pub enum WaitError<E> {
    /// The bound was reached.
    #[error("{what}: not so after {elapsed:.1?}; last seen: {last}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        elapsed: Duration,
        /// What the last look saw.
        last: Cow<'static, str>,
    },
    /// A look found that the condition can never hold.
    #[error(transparent)]
    Fatal(E),
}

/// Looks until the condition holds, can never hold, or the time is up. A look that does not end
/// is given up with the rest.
///
/// `look` is an `async || …` that changes nothing it captures, so that the wait can be sent to
/// another thread: of an `AsyncFnMut` the compiler (1.95) cannot tell.
pub async fn until<T, E, F: Future<Output = Probe<T, E>>>(
    what: &str,
    poll: Poll,
    mut look: impl FnMut() -> F,
) -> Result<T, WaitError<E>> {
    let start = Instant::now();
    let mut last = Cow::Borrowed("nothing: the first look did not end");
    loop {
        let left = poll.within.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, look()).await {
            Ok(Probe::Ready(value)) => return Ok(value),
            Ok(Probe::Fatal(error)) => return Err(WaitError::Fatal(error)),
            Ok(Probe::NotYet(seen)) => last = seen,
            Err(_elapsed) => {}
        }
        let elapsed = start.elapsed();
        if elapsed >= poll.within {
            return Err(WaitError::TimedOut {
                what: what.to_owned(),
                elapsed,
                last,
            });
        }
        tokio::time::sleep(poll.every).await;
    }
}

/// A delay that somebody asked for: nothing is waited for. When it is none, there is no timer either,
/// whose shortest is a millisecond.
pub(crate) async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_delay_does_not_wait() {
        assert_eq!(pause(Duration::ZERO).now_or_never(), Some(()));
        assert_eq!(pause(Duration::from_millis(1)).now_or_never(), None);
    }

    const FAST: Poll = Poll {
        every: Duration::from_millis(1),
        within: Duration::from_millis(20),
    };

    #[tokio::test]
    async fn a_timeout_tells_what_was_last_seen() {
        let looks = Cell::new(0);
        let error = until("the tea is ready", FAST, async || {
            looks.set(looks.get() + 1);
            Probe::<(), std::io::Error>::NotYet(format!("look {}", looks.get()).into())
        })
        .await
        .expect_err("must time out");
        let text = error.to_string();
        let looks = looks.get();
        assert!(looks > 1);
        assert!(
            text.starts_with("the tea is ready: not so after "),
            "{text}"
        );
        assert!(
            text.ends_with(&format!("last seen: look {looks}")),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_look_that_does_not_end_is_given_up() {
        let error = until::<(), std::io::Error, _>("the tea is ready", FAST, async || {
            std::future::pending().await
        })
        .await
        .expect_err("must time out");
        let text = error.to_string();
        assert!(
            text.ends_with("last seen: nothing: the first look did not end"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn what_can_never_hold_ends_the_wait_at_once() {
        let poll = Poll {
            within: Duration::from_secs(3600),
            ..FAST
        };
        let error = until::<(), _, _>("the door opens", poll, async || {
            Probe::Fatal(std::io::Error::other("it is a wall"))
        })
        .await
        .expect_err("must fail");
        assert_eq!(error.to_string(), "it is a wall");
    }
}
