//! An authenticator as a lab serves it: as late as the lab wants it.

use tokenlab_webhook::{Authenticator, BoxAuthenticator, Decision, Review};

use super::switches::Switches;

/// What the router asks.
pub(super) struct Observed {
    inner: BoxAuthenticator,
    switches: Switches,
}

impl Observed {
    pub(super) fn new(inner: BoxAuthenticator, switches: Switches) -> Self {
        Self { inner, switches }
    }
}

impl Authenticator for Observed {
    async fn authenticate(&self, review: &Review) -> Decision {
        let decision = self.inner.authenticate(review).await;
        // Not a wait for something: the delay is what was asked for.
        tokio::time::sleep(self.switches.latency()).await;
        decision
    }
}
