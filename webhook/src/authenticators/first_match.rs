//! Several authenticators, one after the other.

use std::fmt;

use crate::{Authenticator, BoxAuthenticator, Decision, Review};

/// Asks authenticators in order until one knows the token.
///
/// One that cannot tell does not stop the search, so that a token file still works while a
/// directory is down. But then nobody's refusal counts: if no other knows the token, the answer is
/// the first that could not be given, which the apiserver does not remember. The same does the
/// apiserver with its own (`apiserver/pkg/authentication/token/union/union.go`, v0.37.2). Before
/// all others comes [`Decision::Overloaded`]: only after that the apiserver asks again by itself.
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
                failed @ Decision::Overloaded { .. } => failure = Some(failed),
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::User;

    struct Says(Decision);

    impl Authenticator for Says {
        async fn authenticate(&self, _review: &Review) -> Decision {
            self.0.clone()
        }
    }

    fn user(name: &str, audience: &str) -> Decision {
        Decision::Authenticated {
            user: User::new(name),
            audiences: vec![audience.to_owned()],
        }
    }

    fn undecided() -> Decision {
        Decision::Undecided {
            reason: "first".to_owned(),
        }
    }

    fn unavailable() -> Decision {
        Decision::Unavailable {
            reason: "second".to_owned(),
        }
    }

    fn overloaded() -> Decision {
        Decision::Overloaded {
            reason: "third".to_owned(),
        }
    }

    #[rstest]
    #[case::of_none([].into(), Decision::Refused)]
    #[case::the_first([user("a", "x"), user("b", "x")].into(), user("a", "x"))]
    #[case::after_a_refusal([Decision::Refused, user("b", "x")].into(), user("b", "x"))]
    #[case::after_a_failure([undecided(), user("b", "x")].into(), user("b", "x"))]
    #[case::for_others([user("a", "other"), user("b", "x")].into(), user("b", "x"))]
    #[case::for_others_only([user("a", "other")].into(), Decision::Refused)]
    #[case::no_refusal([undecided(), unavailable(), Decision::Refused].into(), undecided())]
    #[case::to_be_repeated([undecided(), overloaded(), unavailable()].into(), overloaded())]
    #[case::refused([Decision::Refused, Decision::Refused].into(), Decision::Refused)]
    #[tokio::test]
    async fn the_answer(#[case] answers: Vec<Decision>, #[case] expected: Decision) {
        let authenticators = answers
            .into_iter()
            .map(|answer| BoxAuthenticator::new(Says(answer)));
        let review = Review::new("token").with_audiences(["x"]);
        let decision = FirstMatch::new(authenticators).authenticate(&review).await;
        assert_eq!(decision, expected);
    }
}
