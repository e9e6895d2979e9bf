//! From an HTTP request to a decision and back.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{StatusCode, Uri};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::exchange::Exchange;
use super::{Observer, Outcome, body, guard, media_type};
use crate::review::{Caller, Review, decode, encode};
use crate::status::{JSON, Rejection};
use crate::{Authenticator as _, BoxAuthenticator, Decision, timeout};

/// An authenticator, and how it is asked.
pub(super) struct Webhook {
    pub(super) authenticator: BoxAuthenticator,
    pub(super) observer: Box<dyn Observer>,
    pub(super) body_limit: usize,
    pub(super) lenient_content_type: bool,
    pub(super) allow_reserved: bool,
    pub(super) in_flight: Option<Semaphore>,
    /// [`body::TOGETHER`].
    pub(super) bodies: Semaphore,
    pub(super) review_limit: Duration,
    pub(super) retry_after: Option<Duration>,
}

/// Answers a request for a review.
///
/// What the head says is looked at before: a future that held it would be twice as large, and each
/// request has one.
pub(super) fn answer(
    webhook: Arc<Webhook>,
    request: Request,
    caller: Option<Caller>,
) -> impl Future<Output = Response> + Send {
    let (head, body) = request.into_parts();
    let mut asked = Asked {
        limit: webhook.limit(&head.uri),
        media_type: if webhook.lenient_content_type {
            Ok(())
        } else {
            media_type::check(&head.headers)
        },
        caller,
        body,
    };
    drop(head);
    async move {
        let mut exchange = Exchange::start(&*webhook.observer);
        match webhook.review(&mut asked, &mut exchange).await {
            Ok(decision) => decided(&decision, exchange),
            Err(rejection) => webhook.rejected(&rejection, exchange),
        }
    }
}

/// What a request for a review says. Borrowed and taken from, since each future that owned it would
/// be so much larger.
struct Asked {
    /// How long it may take.
    limit: Duration,
    media_type: Result<(), Rejection>,
    caller: Option<Caller>,
    body: Body,
}

/// Answers a request for anything else.
pub(super) fn reject(State(webhook): State<Arc<Webhook>>, rejection: &Rejection) -> Response {
    webhook.rejected(rejection, Exchange::start(&*webhook.observer))
}

impl Webhook {
    async fn review(
        &self,
        asked: &mut Asked,
        exchange: &mut Exchange<'_>,
    ) -> Result<Decision, Rejection> {
        let _permit = self.admit()?;
        let limit = asked.limit;
        let deadline = exchange.arrived + limit;
        let decision = timeout_at(deadline, self.ask(asked, deadline, exchange)).await;
        decision.unwrap_or_else(|_| match exchange.review {
            None => Err(Rejection::SlowBody { limit }),
            Some(_) => Err(Rejection::TimedOut { limit }),
        })
    }

    async fn ask(
        &self,
        asked: &mut Asked,
        deadline: Instant,
        exchange: &mut Exchange<'_>,
    ) -> Result<Decision, Rejection> {
        mem::replace(&mut asked.media_type, Ok(()))?;
        let collecting = body::collect(mem::take(&mut asked.body), self.body_limit, &self.bodies);
        let (body, _taken) = collecting.await?;
        let mut review = decode(&body)?;
        drop(body);
        review.deadline = Some(deadline);
        review.caller = asked.caller.take();
        let review = exchange.review.insert(review);
        let decision = self.decide(review).await?;
        match decision.narrowed(&review.audiences) {
            Decision::Unavailable { reason } => Err(Rejection::Unavailable { reason }),
            Decision::Overloaded { reason } => Err(Rejection::Overloaded { reason }),
            decision => Ok(guard::checked(decision, self.allow_reserved)),
        }
    }

    fn admit(&self) -> Result<Option<SemaphorePermit<'_>>, Rejection> {
        let permit = self.in_flight.as_ref().map(Semaphore::try_acquire);
        permit.transpose().map_err(|_| Rejection::Full)
    }

    /// How long this request may take.
    fn limit(&self, uri: &Uri) -> Duration {
        let asked = uri.query().and_then(timeout::from_query);
        asked.map_or(self.review_limit, |asked| {
            timeout::before(asked).min(self.review_limit)
        })
    }

    async fn decide(&self, review: &Review) -> Result<Decision, Rejection> {
        // An authenticator that panics leaves nothing half done of ours, and answers for its own.
        let decision = AssertUnwindSafe(async { self.authenticator.authenticate(review).await });
        // What it said is not looked at: it may quote the token.
        decision
            .catch_unwind()
            .await
            .map_err(|_| Rejection::Panicked)
    }

    fn rejected(&self, rejection: &Rejection, exchange: Exchange<'_>) -> Response {
        let reason = rejection.to_string();
        let response = rejection.respond(&reason, self.retry_after);
        exchange.end(rejection.outcome(), response.status(), None, Some(&reason));
        response
    }
}

fn decided(decision: &Decision, exchange: Exchange<'_>) -> Response {
    let api_version = exchange.api_version();
    let (outcome, user, reason) = match decision {
        Decision::Authenticated { user, .. } => (Outcome::Authenticated, Some(user), None),
        Decision::Refused => (Outcome::Refused, None, None),
        _ => (Outcome::Undecided, None, decision.reason()),
    };
    exchange.end(outcome, StatusCode::OK, user, reason);
    let mut response = Response::new(encode(api_version, decision).into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
