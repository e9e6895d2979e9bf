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
}

/// Which limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// [`Limits::head`].
    Head,
    /// [`Limits::idle`], or [`Limits::linger`] after a stop: the connection shall be told to end.
    Idle,
    /// [`Limits::drain`]: it was told, and did not.
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
        let stage = activity.pause().map(|pause| {
            if self.closing {
                Stage::Closing
            } else if activity.is_stopping() {
                Stage::Stopping
            } else {
                Stage::Open(pause)
            }
        });
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
fn later(moment: Instant, limit: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    moment + limit.min(LONGEST)
}
