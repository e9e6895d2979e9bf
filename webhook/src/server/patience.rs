//! How long a connection may be without a request.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Pause};
use super::limits::Limits;

/// What it means that a connection is without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It may bring the next one.
    Open(Pause),
    /// The server stops.
    Stopping,
    /// It was told to end.
    Closing,
    /// The server's side of it has ended.
    Parting,
}

/// Which limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// [`Limits::head`].
    Head,
    /// [`Limits::idle`], or [`Limits::linger`] after a stop: the connection shall be told to end.
    Idle,
    /// [`Limits::drain`]: it was told, and did not; or [`Limits::linger`]: the server's side has
    /// ended, and the client's did not.
    Closing,
}

/// Times one connection. Its timer is not touched by requests; when it fires, it is seen whether
/// there were any.
pub(super) struct Patience<'a> {
    limits: &'a Limits,
    timer: Pin<Box<Sleep>>,
    closing: bool,
    /// The stage, and how many requests had begun, since the moment.
    last: (Option<Stage>, usize),
    since: Instant,
}

impl<'a> Patience<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        let since = Instant::now();
        Self {
            timer: Box::pin(sleep_until(later(since, limits.idle))),
            limits,
            closing: false,
            last: (None, 0),
            since,
        }
    }

    /// The connection has been told to end.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Wakes the task when a limit has passed.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, activity: &Activity) -> Poll<Overdue> {
        let pause = activity.pause().map(|pause| {
            if self.closing {
                Stage::Closing
            } else if activity.is_stopping() {
                Stage::Stopping
            } else {
                Stage::Open(pause)
            }
        });
        let parting = activity.is_parting().then_some(Stage::Parting);
        let stage = parting.or(pause);
        let now = (stage, activity.begun());
        if self.last != now {
            self.last = now;
            self.since = Instant::now();
        }
        let Some(stage) = stage else {
            return Poll::Pending;
        };
        let (limit, overdue) = match stage {
            Stage::Open(Pause::Idle) => (self.limits.idle, Overdue::Idle),
            Stage::Open(Pause::Head) => (self.limits.head, Overdue::Head),
            Stage::Stopping => (self.limits.linger, Overdue::Idle),
            Stage::Closing => (self.limits.drain, Overdue::Closing),
            Stage::Parting => (self.limits.linger, Overdue::Closing),
        };
        let deadline = later(self.since, limit);
        loop {
            if deadline < self.timer.deadline() {
                self.timer.as_mut().reset(deadline);
            }
            match self.timer.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if self.timer.deadline() < deadline => {
                    self.timer.as_mut().reset(deadline);
                }
                Poll::Ready(()) => return Poll::Ready(overdue),
            }
        }
    }
}

/// A limit that no clock can count to is none that matters.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn later(moment: Instant, limit: Duration) -> Instant {
    moment + limit.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use rstest::rstest;
    use tokio::io::AsyncReadExt as _;

    use super::super::activity::Listening;
    use super::*;

    /// Each limit has passed at once, or never does.
    fn limits(passed: &[Overdue]) -> Limits {
        let of = |overdue| {
            let passed = passed.contains(&overdue);
            if passed {
                Duration::ZERO
            } else {
                Duration::MAX
            }
        };
        Limits {
            head: of(Overdue::Head),
            idle: of(Overdue::Idle),
            drain: of(Overdue::Closing),
            ..Limits::default()
        }
    }

    /// What a connection is after these octets came, in one read.
    async fn heard(octets: &[u8]) -> Arc<Activity> {
        let activity = Arc::new(Activity::new(false));
        let mut stream = Listening::new(octets, Arc::clone(&activity));
        stream.read_buf(&mut Vec::new()).await.expect("octets");
        activity
    }

    #[rstest]
    #[case::silent(b"", Overdue::Idle)]
    #[case::head(b"POST / HT", Overdue::Head)]
    #[case::http2(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Overdue::Idle)]
    #[tokio::test]
    async fn a_pause_has_the_limit_of_its_kind(#[case] octets: &[u8], #[case] expected: Overdue) {
        let activity = heard(octets).await;
        let limits = limits(&[expected]);
        let mut patience = Patience::new(&limits);
        let overdue = poll_fn(|context| patience.poll(context, &activity)).await;
        assert_eq!(overdue, expected);
    }

    #[tokio::test]
    async fn what_was_told_to_end_has_one_too() {
        let limits = limits(&[Overdue::Closing]);
        let mut patience = Patience::new(&limits);
        patience.close();
        let activity = Activity::new(true);
        let overdue = poll_fn(|context| patience.poll(context, &activity)).await;
        assert_eq!(overdue, Overdue::Closing);
    }

    #[rstest]
    #[case::http_1(false)]
    #[case::http_2(true)]
    #[tokio::test]
    async fn a_running_request_has_none(#[case] http2: bool) {
        let activity = heard(b"POST / HTTP/1.1").await;
        let limits = limits(&[Overdue::Head, Overdue::Idle]);
        let mut patience = Patience::new(&limits);
        let running = activity.begin(http2);
        let poll = poll_fn(|context| Poll::Ready(patience.poll(context, &activity))).await;
        assert_eq!(poll, Poll::Pending);
        drop(running);
        let overdue = poll_fn(|context| patience.poll(context, &activity)).await;
        assert_eq!(overdue, Overdue::Idle);
    }
}
