//! From an HTTP request to a decision and back.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::header::CONTENT_TYPE;
use tokio::time::Instant;

use crate::review::{Caller, Review, decode, encode};
use crate::status::{JSON, Rejection};
use crate::{Authenticator, timeout};

/// Where reviews are sent: the path in the apiserver's webhook kubeconfig.
pub const PATH: &str = "/authenticate";

/// The largest body that is read: 1 MiB. The apiserver takes headers up to that size before it
/// knows the user (`apiserver/pkg/server/secure_serving.go`, v0.37.2), and so tokens.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The routes of a webhook: `POST /authenticate` takes a `TokenReview`, `GET /livez` says `ok`.
///
/// A review that was understood is answered with 200, whatever was decided. The rest is 404, 405
/// (with `Allow`), 413 (above [`BODY_LIMIT`]) or 400, each with a `metav1.Status` as its body. The
/// content type is not looked at. `?timeout=30s` becomes [`Review::deadline`].
///
/// It can be nested, layered or served by anything that serves axum; [`Server`](crate::Server)
/// says who called, too.
pub fn router<A: Authenticator>(authenticator: A) -> Router {
    let authenticate = post(answer::<A>).fallback(async || Rejection::Method { allow: "POST" });
    let livez = get(async || "ok").fallback(async || Rejection::Method { allow: "GET, HEAD" });
    Router::new()
        .route(PATH, authenticate)
        .route("/livez", livez)
        .fallback(async || Rejection::Path { path: PATH })
        .with_state(Arc::new(authenticator))
}

async fn answer<A: Authenticator>(
    State(authenticator): State<Arc<A>>,
    request: Request,
) -> Result<Response, Rejection> {
    let arrived = Instant::now();
    let review = read(request, arrived).await?;
    let decision = authenticator.authenticate(&review).await;
    let decision = decision.narrowed(&review.audiences);
    tracing::info!(
        outcome = decision.outcome(),
        latency_us = u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX),
        api_version = review.api_version.as_str(),
        reason = decision.reason(),
        "review"
    );
    let body = encode(review.api_version, &decision);
    Ok(([(CONTENT_TYPE, JSON)], body).into_response())
}

async fn read(request: Request, arrived: Instant) -> Result<Review, Rejection> {
    let (head, body) = request.into_parts();
    let mut review = decode(&collect(body).await?)?;
    review.deadline = head
        .uri
        .query()
        .and_then(timeout::from_query)
        .and_then(|timeout| arrived.checked_add(timeout));
    review.caller = head.extensions.get::<Caller>().cloned();
    Ok(review)
}

/// Reads a body until it ends or becomes too large: no more than the limit is ever held.
async fn collect(body: Body) -> Result<Bytes, Rejection> {
    let too_large = || Rejection::TooLarge { limit: BODY_LIMIT };
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > BODY_LIMIT) {
        return Err(too_large());
    }
    let mut frames = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(Rejection::Cut)?;
        if whole.len() + frame.len() > BODY_LIMIT {
            return Err(too_large());
        }
        whole.extend_from_slice(&frame);
    }
    Ok(whole.freeze())
}
