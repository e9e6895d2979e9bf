//! How long a refusal takes at least.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long what was seen counts, at least.
const SPAN: Duration = Duration::from_secs(600);

/// The time within which every refusal hides.
///
/// A directory compares a password with what is stored for a user, which is slow on purpose, and
/// is done at once with a user who is not there. So a refusal waits until the slowest answer of
/// late would have been there, rounded up to a power of two: a floor that moved with each answer
/// would tell as much as the answer itself.
pub(super) struct Floor(Mutex<Seen>);

/// The slowest answers of two spans of time.
struct Seen {
    since: Instant,
    current: Duration,
    before: Duration,
}

impl Floor {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Seen {
            since: Instant::now(),
            current: Duration::ZERO,
            before: Duration::ZERO,
        }))
    }

    /// An answer about a password came `now`, to what `began` then. Only one that was `right` ends a span: it was
    /// compared, so that a floor is left, and nobody brings it down by guesses.
    pub(super) fn learn(&self, began: Instant, now: Instant, right: bool) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if right && now.duration_since(seen.since) >= SPAN {
            seen.before = std::mem::take(&mut seen.current);
            seen.since = now;
        }
        seen.current = seen.current.max(now.duration_since(began));
    }

    /// Zero, until something was learned.
    pub(super) fn least(&self) -> Duration {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slowest = seen.current.max(seen.before);
        if slowest.is_zero() {
            return slowest;
        }
        let micros = u64::try_from(slowest.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(micros.checked_next_power_of_two().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_millis(200);
    const FAST: Duration = Duration::from_millis(1);

    #[test]
    fn it_is_that_of_the_slowest() {
        let floor = Floor::new();
        let began = Instant::now();
        assert_eq!(floor.least(), Duration::ZERO);
        floor.learn(began, began + FAST, true);
        assert_eq!(floor.least(), Duration::from_micros(1 << 10));
        floor.learn(began, began + SLOW, false);
        assert_eq!(floor.least(), Duration::from_micros(1 << 18));
        // A little slower than the slowest is not seen.
        floor.learn(began, began + SLOW + FAST, false);
        floor.learn(began, began + FAST, true);
        assert_eq!(floor.least(), Duration::from_micros(1 << 18));
    }

    #[test]
    fn guesses_do_not_bring_it_down() {
        let floor = Floor::new();
        let mut began = Instant::now();
        floor.learn(began, began + SLOW, true);
        for _ in 0..4 {
            began += SPAN;
            floor.learn(began, began + FAST, false);
        }
        assert_eq!(floor.least(), Duration::from_micros(1 << 18));
        // Whoever is known does, after two spans.
        floor.learn(began, began + FAST, true);
        assert_eq!(floor.least(), Duration::from_micros(1 << 18));
        began += SPAN;
        floor.learn(began, began + FAST, true);
        assert_eq!(floor.least(), Duration::from_micros(1 << 10));
    }
}
