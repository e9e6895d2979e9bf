//! Where plays are played: a layer around the product's routes.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode, Version};
use serde_json::Value;
use tokenlab_webhook::review::decode;
use tokenlab_webhook::{BODY_LIMIT, Review};
use tokio::time::Instant;

use super::{Act, Scripted};
use crate::journal::Journal;

/// A body that is longer is not on record.
const RECORDED_BODY: usize = 16 << 10;

/// A review as it came over the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Posted {
    /// The path, with the query.
    pub path: String,
    /// The version of HTTP.
    pub version: Version,
    /// The headers. What `authorization` says is marked as sensitive: `Debug` does not show it.
    pub headers: HeaderMap,
    /// The body without the token; `null` where it is longer than 16 KiB.
    pub body: Value,
}

tokio::task_local! {
    /// What the authenticator is to do with the review that it is asked for, and that is on record.
    pub(super) static CUE: Act;
}

/// Plays what the script has for a review's token. What is no review, or of a token without a
/// script, is the routes' alone.
pub(crate) async fn stage(
    State((scripted, journal)): State<(Scripted, Journal)>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let review = decode(&body).ok();
    let act = review
        .as_ref()
        .and_then(|review| Some((review, scripted.next(&review.token)?)));
    let posted = act.is_some().then(|| Posted::new(&head, &body));
    let request = Request::from_parts(head, Body::from(body));
    let (Some((review, act)), Some(posted)) = (act, posted) else {
        return next.run(request).await;
    };
    scripted.record(review, act.clone(), Some(posted));
    // Of a decision the routes tell the journal.
    let running = match act.decision() {
        None => Some(journal.begin(&with_deadline(review, request.uri().query()))),
        Some(_) => None,
    };
    // Not a wait for something: the delay is what was asked for.
    tokio::time::sleep(act.delay()).await;
    match (act.played().await, running) {
        (Some(response), Some(running)) => {
            running.played(response.status());
            response
        }
        (Some(response), None) => response,
        (None, _) => CUE.scope(act, next.run(request)).await,
    }
}

/// The apiserver may show a token of its own.
fn with_credentials_hidden(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for (name, value) in &mut headers {
        value.set_sensitive(*name == AUTHORIZATION);
    }
    headers
}

/// The same with a deadline, where the query has one as kube-apiserver's does.
fn with_deadline(review: &Review, query: Option<&str>) -> Review {
    /// kube-apiserver's own.
    const PATIENCE: Duration = Duration::from_secs(30);
    let review = review.clone();
    if query.is_some_and(|query| query.contains("timeout=")) {
        return review.with_deadline(Instant::now() + PATIENCE);
    }
    review
}

impl Posted {
    fn new(head: &Parts, body: &[u8]) -> Self {
        let mut json = Value::Null;
        if body.len() <= RECORDED_BODY {
            json = serde_json::from_slice(body).unwrap_or_default();
            if let Some(token) = json.pointer_mut("/spec/token") {
                *token = "[token]".into();
            }
        }
        let path = head.uri.path_and_query();
        Self {
            path: path.map(ToString::to_string).unwrap_or_default(),
            version: head.version,
            headers: with_credentials_hidden(&head.headers),
            body: json,
        }
    }
}
