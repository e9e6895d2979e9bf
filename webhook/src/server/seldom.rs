//! What must not fill the log.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Tells the first of what happens again and again, and how many there were since.
pub(super) struct Seldom {
    pause: Duration,
    /// When it was told last, and how often it happened since.
    last: Mutex<(Option<Instant>, u64)>,
}

impl Seldom {
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            pause,
            last: Mutex::default(),
        }
    }

    /// Tells it with the number of those that were not told, unless one was lately; whether it did.
    pub(super) fn tell(&self, tell: impl FnOnce(u64)) -> bool {
        let Ok(mut last) = self.last.lock() else {
            return false;
        };
        let (told, withheld) = *last;
        if told.is_some_and(|told| told.elapsed() < self.pause) {
            last.1 += 1;
            return false;
        }
        *last = (Some(Instant::now()), 0);
        drop(last);
        tell(withheld);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_with_the_number_of_the_others() {
        let mut seldom = Seldom::new(Duration::MAX);
        let mut told = Vec::new();
        let one = (0..5).filter(|_| seldom.tell(|withheld| told.push(withheld)));
        assert_eq!(one.count(), 1);
        seldom.pause = Duration::ZERO;
        seldom.tell(|withheld| told.push(withheld));
        seldom.tell(|withheld| told.push(withheld));
        assert_eq!(told, [0, 4, 0]);
    }
}
