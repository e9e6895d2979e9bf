//! One request, from its head to its answer or its loss.

use http::StatusCode;
use tokio::time::Instant;

use super::{Ended, Observer, Outcome, log};
use crate::{ApiVersion, Review, User};

/// Tells the log and the observer once, whatever happens: dropped before its end, the caller is
/// gone.
pub(super) struct Exchange<'a> {
    observer: &'a dyn Observer,
    pub(super) arrived: Instant,
    /// What was asked, from when it is known.
    pub(super) review: Option<Review>,
    told: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn start(observer: &'a dyn Observer) -> Self {
        observer.started();
        Self {
            observer,
            arrived: Instant::now(),
            review: None,
            told: false,
        }
    }

    /// The version to answer in.
    pub(super) fn api_version(&self) -> ApiVersion {
        let review = self.review.as_ref();
        review.map_or(ApiVersion::V1, |review| review.api_version)
    }

    pub(super) fn end(
        mut self,
        outcome: Outcome,
        code: StatusCode,
        user: Option<&User>,
        reason: Option<&str>,
    ) {
        self.tell(outcome, Some(code), user, reason);
    }

    fn tell(
        &mut self,
        outcome: Outcome,
        code: Option<StatusCode>,
        user: Option<&User>,
        reason: Option<&str>,
    ) {
        self.told = true;
        let ended = Ended {
            outcome,
            code,
            duration: self.arrived.elapsed(),
            review: self.review.as_ref(),
            user,
            reason,
        };
        log::write(&ended);
        self.observer.ended(&ended);
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Outcome::Abandoned, None, None, None);
        }
    }
}
