//! Several authenticators, one after the other.

use std::fmt;

use crate::{Authenticator, BoxAuthenticator, Decision, Review};

/// Asks authenticators in order until one knows the token.
///
/// One that cannot tell does not stop the search, so that a token file still works while a
/// directory is down. But then nobody's refusal counts: if no other knows the token, the answer is
/// the first that could not be given, which the apiserver does not remember. The same does the
/// apiserver with its own (`apiserver/pkg/authentication/token/union/union.go`, v0.37.2).
///
/// An authenticator whose token is for none of the audiences that the review asks for has not
/// matched.
///
/// ```
/// use tokenlab_webhook::{BoxAuthenticator, Mock, authenticators::FirstMatch};
///
/// # let (yours, fallback) = (Mock, Mock);
/// let both = FirstMatch::new([BoxAuthenticator::new(yours), BoxAuthenticator::new(fallback)]);
/// let router = tokenlab_webhook::router(both);
/// # let _: axum::Router = router;
/// ```
#[derive(Clone)]
pub struct FirstMatch(Vec<BoxAuthenticator>);

impl FirstMatch {
    /// Asks these in this order. Of none all tokens are refused.
    #[must_use]
    pub fn new(authenticators: impl IntoIterator<Item = BoxAuthenticator>) -> Self {
        Self(authenticators.into_iter().collect())
    }
}

impl Authenticator for FirstMatch {
    async fn authenticate(&self, review: &Review) -> Decision {
        let mut failure = None;
        for authenticator in &self.0 {
            let decision = authenticator.authenticate(review).await;
            match decision.narrowed(&review.audiences) {
                Decision::Refused => {}
                found @ Decision::Authenticated { .. } => return found,
                failed => {
                    failure.get_or_insert(failed);
                }
            }
        }
        failure.unwrap_or(Decision::Refused)
    }
}

impl fmt::Debug for FirstMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FirstMatch").field(&self.0.len()).finish()
    }
}
