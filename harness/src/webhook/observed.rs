//! An authenticator as a lab serves it: as late as the lab wants it, and with a journal.

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokenlab_webhook::{Authenticator, BoxAuthenticator, Decision, Review, RouterBuilder};

use super::switches::{Switches, spoil};
use crate::journal::Journal;
use crate::wait::pause;

/// What the router asks.
pub(super) struct Observed {
    inner: BoxAuthenticator,
    switches: Switches,
    journal: Journal,
}

impl Observed {
    pub(super) fn new(inner: BoxAuthenticator, switches: Switches, journal: Journal) -> Self {
        Self {
            inner,
            switches,
            journal,
        }
    }

    /// Its routes. A lab plays what it is told: any user, any number of reviews, any latency.
    pub(super) fn router(self) -> Router {
        let switches = self.switches.clone();
        RouterBuilder::new(self)
            .allow_reserved(true)
            .max_in_flight(None)
            .review_limit(Duration::MAX)
            .build()
            .layer(from_fn_with_state(switches, spoil))
    }
}

impl Authenticator for Observed {
    async fn authenticate(&self, review: &Review) -> Decision {
        let running = self.journal.begin(review);
        let decision = self.inner.authenticate(review).await;
        // As the router will, so that the journal has what is sent.
        let decision = decision.narrowed(&review.audiences);
        pause(self.switches.latency()).await;
        running.end(&decision, self.switches.fault());
        decision
    }
}
