//! Where plays are played: a layer around the product's routes.

use std::error::Error as _;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode, Version};
use http_body_util::LengthLimitError;
use serde_json::Value;
use tokenlab_webhook::review::decode;
use tokenlab_webhook::{BODY_LIMIT, Review};
use tokio::time::{Instant, timeout};

use super::{Act, Scripted};
use crate::journal::Journal;
use crate::wait::pause;
use crate::webhook::PATIENCE;

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

/// What the authenticator is told of the review that it is asked for.
#[derive(Clone)]
pub(super) enum Cue {
    /// What it is to do; the review is on record.
    Act(Act),
    /// There is no script for it. How it came, for the record.
    Posted(Posted),
}

tokio::task_local! {
    pub(super) static CUE: Cue;
}

/// Plays what the script has for a review's token. What is no review is the routes' alone.
pub(crate) async fn stage(
    State((scripted, journal)): State<(Scripted, Journal)>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let body = match whole(body, PATIENCE).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let Ok(review) = decode(&body) else {
        let request = Request::from_parts(head, Body::from(body));
        return next.run(request).await;
    };
    let posted = Posted::new(&head, &body);
    let request = Request::from_parts(head, Body::from(body));
    let Some(act) = scripted.next(&review.token) else {
        return CUE.scope(Cue::Posted(posted), next.run(request)).await;
    };
    scripted.record(&review, act.clone(), Some(posted));
    // Of a decision the routes tell the journal.
    let running = match act.decision() {
        None => Some(journal.begin(&with_deadline(&review, request.uri().query()))),
        Some(_) => None,
    };
    pause(act.delay()).await;
    match (act.played().await, running) {
        (Some(response), Some(running)) => {
            running.played(response.status());
            response
        }
        (Some(response), None) => response,
        (None, _) => CUE.scope(Cue::Act(act), next.run(request)).await,
    }
}

/// A body, or the status for one that does not come whole.
async fn whole(body: Body, patience: Duration) -> Result<Bytes, StatusCode> {
    match timeout(patience, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(match error.source() {
            Some(source) if source.is::<LengthLimitError>() => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }),
        Err(_elapsed) => Err(StatusCode::REQUEST_TIMEOUT),
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

#[cfg(test)]
mod tests {
    use futures::stream;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::cut(Body::from_stream(stream::iter([Ok("{"), Err("gone")])), StatusCode::BAD_REQUEST)]
    #[case::endless(
        Body::from_stream(stream::repeat_with(|| Ok::<_, String>(" ".repeat(16 << 10)))),
        StatusCode::PAYLOAD_TOO_LARGE
    )]
    #[tokio::test]
    async fn a_body_that_does_not_come_whole(#[case] body: Body, #[case] status: StatusCode) {
        assert_eq!(whole(body, PATIENCE).await, Err(status));
    }

    #[tokio::test]
    async fn a_body_that_does_not_end() {
        let body = Body::from_stream(stream::pending::<Result<Bytes, String>>());
        let patience = Duration::from_millis(1);
        let status = StatusCode::REQUEST_TIMEOUT;
        assert_eq!(whole(body, patience).await, Err(status));
    }
}
