//! The seam to `tower`.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service, ServiceExt as _};

use crate::{Authenticator, Decision, Review};

/// An authenticator as a [`tower::Service`] that is always ready and never fails: what a layer goes
/// around. Cloning shares the authenticator.
pub struct ReviewService<A>(Arc<A>);

impl<A: Authenticator> ReviewService<A> {
    /// Makes a service of `authenticator`.
    pub fn new(authenticator: A) -> Self {
        Self(Arc::new(authenticator))
    }
}

impl<A: Authenticator> Service<Review> for ReviewService<A> {
    type Response = Decision;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Decision, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, review: Review) -> Self::Future {
        let authenticator = Arc::clone(&self.0);
        Box::pin(async move { Ok(authenticator.authenticate(&review).await) })
    }
}

impl<A> Clone for ReviewService<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> fmt::Debug for ReviewService<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReviewService").finish_non_exhaustive()
    }
}

/// A [`tower::Service`] of reviews as an authenticator.
///
/// Each review is called on a clone of the service and waits until that is ready: what clones do
/// not share, they do not limit together. `tower`'s own limits share theirs.
///
/// ```
/// use tokenlab_webhook::authenticators::Layered;
/// use tokenlab_webhook::{Decision, Mock};
/// use tower::util::MapResponseLayer;
///
/// let prefix = MapResponseLayer::new(|decision| match decision {
///     Decision::Authenticated { mut user, audiences } => {
///         user.username.insert_str(0, "corp:");
///         Decision::Authenticated { user, audiences }
///     }
///     other => other,
/// });
/// let prefixed = Layered::around(Mock, &prefix, |never| match never {});
/// let router = tokenlab_webhook::router(prefixed);
/// # let _: axum::Router = router;
/// ```
pub struct Layered<S, F> {
    service: S,
    failed: F,
}

impl<S, F> Layered<S, F>
where
    S: Service<Review, Response = Decision>,
    F: Fn(S::Error) -> Decision,
{
    /// Asks `service`; `failed` decides about what it could not answer.
    pub fn new(service: S, failed: F) -> Self {
        Self { service, failed }
    }

    /// Puts `layer` around `authenticator`; `failed` decides about what the layer did not let
    /// through.
    pub fn around<A: Authenticator>(
        authenticator: A,
        layer: &impl Layer<ReviewService<A>, Service = S>,
        failed: F,
    ) -> Self {
        Self::new(layer.layer(ReviewService::new(authenticator)), failed)
    }
}

impl<S, F> Authenticator for Layered<S, F>
where
    S: Service<Review, Response = Decision, Future: Send, Error: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    F: Fn(S::Error) -> Decision + Send + Sync + 'static,
{
    async fn authenticate(&self, review: &Review) -> Decision {
        let answer = self.service.clone().oneshot(review.clone());
        answer.await.unwrap_or_else(&self.failed)
    }
}

impl<S, F> fmt::Debug for Layered<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layered").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tower::service_fn;
    use tower::util::MapRequestLayer;

    use super::*;
    use crate::{Mock, User};

    #[tokio::test]
    async fn a_service_answers_and_its_errors_are_decided_about() {
        let service = service_fn(async |review: Review| match review.token.expose() {
            "good" => Ok(Decision::authenticated(User::new("ann"))),
            other => Err(other.len()),
        });
        let layered = Layered::new(service, |length| Decision::Undecided {
            reason: length.to_string(),
        });
        let good = layered.authenticate(&Review::new("good")).await;
        assert_eq!(good, Decision::authenticated(User::new("ann")));
        let reason = "7".to_owned();
        let other = layered.authenticate(&Review::new("another")).await;
        assert_eq!(other, Decision::Undecided { reason });
    }

    #[tokio::test]
    async fn a_layer_sees_each_review() {
        let (seen, notes) = std::sync::mpsc::channel();
        let note = MapRequestLayer::new(move |review: Review| {
            seen.send(review.token.clone()).expect("open");
            review
        });
        let layered = Layered::around(Mock, &note, |never| match never {});
        for token in ["a", "b"] {
            let review = Review::new(token);
            let decision = layered.authenticate(&review).await;
            assert_eq!(decision, Mock.authenticate(&review).await);
            assert_eq!(notes.try_recv(), Ok(review.token));
        }
    }
}
