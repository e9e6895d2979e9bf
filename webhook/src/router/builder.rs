//! How a webhook is put together.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post_service};
use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tower::service_fn;

use super::body;
use super::webhook::{self, Webhook};
use super::{BODY_LIMIT, Observer, PATH, Routes};
use crate::status::Rejection;
use crate::{Authenticator, BoxAuthenticator};

/// How long an authenticator may take: 10 s. The apiserver waits 30 s
/// (`apiserver/pkg/util/webhook/webhook.go`, `defaultRequestTimeout`, v0.37.2).
const REVIEW_LIMIT: Duration = Duration::from_secs(10);

/// What every clock can count to.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How many reviews may be in flight: 1024. An apiserver asks about one token once at a time, and
/// authenticates before it counts its own requests in flight (`apiserver/pkg/server/config.go`,
/// `DefaultBuildHandlerChain`, v0.37.2).
pub(crate) const MAX_IN_FLIGHT: usize = 1024;

/// Makes [`router`](crate::router())'s routes with settings of one's own.
///
/// ```
/// use std::time::Duration;
/// use tokenlab_webhook::{Mock, RouterBuilder};
///
/// let router = RouterBuilder::new(Mock)
///     .review_limit(Duration::from_secs(2))
///     .max_in_flight(Some(100))
///     .build();
/// # let _: axum::Router = router;
/// ```
pub struct RouterBuilder {
    webhook: Webhook,
}

impl RouterBuilder {
    /// The routes that [`router`](crate::router()) makes, unless something else is said.
    pub fn new(authenticator: impl Authenticator) -> Self {
        Self {
            webhook: Webhook {
                authenticator: BoxAuthenticator::new(authenticator),
                observer: Box::new(()),
                body_limit: BODY_LIMIT,
                lenient_content_type: false,
                allow_reserved: false,
                in_flight: Some(Semaphore::new(MAX_IN_FLIGHT)),
                bodies: Semaphore::new(body::TOGETHER),
                review_limit: REVIEW_LIMIT,
                retry_after: None,
            },
        }
    }

    /// The largest body that is read, in octets; a larger one is answered with 413. Default
    /// [`BODY_LIMIT`].
    ///
    /// All bodies that are longer than one frame (up to 16 KiB) may take 16 MiB at a time, or one
    /// of the largest, with the reviews that are made of them; one more is answered with 429.
    /// Otherwise clients of the apiserver who send long tokens could have all of the memory.
    #[must_use]
    pub fn body_limit(mut self, octets: usize) -> Self {
        let together = body::TOGETHER.max(octets).min(Semaphore::MAX_PERMITS);
        self.webhook.bodies = Semaphore::new(together);
        self.webhook.body_limit = octets;
        self
    }

    /// Whether a body is taken whatever `Content-Type` says, as from `curl -d`. Otherwise it must
    /// be `application/json`, or the answer is 415. Default false.
    #[must_use]
    pub fn lenient_content_type(mut self, lenient: bool) -> Self {
        self.webhook.lenient_content_type = lenient;
        self
    }

    /// Whether the authenticator may name users and groups that begin with `system:`, those that
    /// Kubernetes gives rights of its own to. Otherwise such a decision becomes an error. Default
    /// false.
    #[must_use]
    pub fn allow_reserved(mut self, allow: bool) -> Self {
        self.webhook.allow_reserved = allow;
        self
    }

    /// How many reviews may be in flight; one more is answered with 429 before its body is read.
    /// None: any number. Default 1024.
    #[must_use]
    pub fn max_in_flight(mut self, reviews: Option<usize>) -> Self {
        let permits = |reviews: usize| Semaphore::new(reviews.min(Semaphore::MAX_PERMITS));
        self.webhook.in_flight = reviews.map(permits);
        self
    }

    /// How long a review may take from its head; `?timeout=` in its query shortens that. Then the
    /// answer is 503 and the authenticator's future is dropped. Default 10 s, at most a day.
    #[must_use]
    pub fn review_limit(mut self, limit: Duration) -> Self {
        self.webhook.review_limit = limit.min(LONGEST);
        self
    }

    /// What `Retry-After` says in answers with 429 and 503, in whole seconds, rounded up. None, the
    /// default, leaves it out: with it the apiserver calls up to 55 times for one token instead of
    /// 5 times (429) or once (503), since its client repeats each attempt 10 times
    /// (`client-go/rest/with_retry.go`, v0.37.2).
    #[must_use]
    pub fn retry_after(mut self, delay: Option<Duration>) -> Self {
        self.webhook.retry_after = delay;
        self
    }

    /// Who learns of each request. Default nobody.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.webhook.observer = Box::new(observer);
        self
    }

    /// The routes. A [`Server`](crate::Server) takes this builder as it is, too.
    pub fn build(self) -> Router {
        Routes::from(self).router
    }
}

impl From<RouterBuilder> for Routes {
    fn from(builder: RouterBuilder) -> Self {
        let webhook = Arc::new(builder.webhook);
        let asked = Arc::clone(&webhook);
        // Not a handler: the futures that axum makes for its extractors are larger than ours.
        let authenticate = service_fn(move |mut request: Request| {
            let caller = request.extensions_mut().remove();
            let answer = webhook::answer(Arc::clone(&asked), request, caller);
            answer.map(Ok::<_, Infallible>)
        });
        let authenticate = post_service(authenticate)
            .fallback(async |state| webhook::reject(state, &Rejection::Method { allow: "POST" }));
        let livez = get(async || "ok").fallback(async |state| {
            webhook::reject(state, &Rejection::Method { allow: "GET, HEAD" })
        });
        let router = Router::new()
            .route(PATH, authenticate)
            .route("/livez", livez)
            .fallback(async |state| webhook::reject(state, &Rejection::Path { path: PATH }))
            .with_state(Arc::clone(&webhook));
        Self {
            router,
            webhook: Some(webhook),
        }
    }
}

impl fmt::Debug for RouterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterBuilder").finish_non_exhaustive()
    }
}
