//! Failures as the apiserver reads them.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::Outcome;
use crate::review::{DecodeError, Quoted};

/// The media type of every body that is sent.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request got no review. Answered by a `metav1.Status`, whose message the apiserver's log
/// then quotes; for any other body it logs `unknown` (`client-go/rest/request.go`,
/// `Result.Error`, v0.37.2).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("the body ended early")]
    Cut(#[source] axum::Error),
    #[error("the body did not come within {limit:?}")]
    SlowBody { limit: Duration },
    #[error("the body is larger than {limit} octets")]
    TooLarge { limit: usize },
    #[error("content type is {found}, send `Content-Type: application/json`")]
    MediaType { found: Quoted },
    #[error("nothing is here: send TokenReviews to `{path}`")]
    Path { path: &'static str },
    #[error("this method is not served here, use {allow}")]
    Method { allow: &'static str },
    #[error("too many reviews are in flight")]
    Full,
    #[error("{}", or(reason, "the authenticator has too much to do"))]
    Overloaded { reason: String },
    #[error("{}", or(reason, "the authenticator is not available"))]
    Unavailable { reason: String },
    #[error("the authenticator did not answer within {limit:?}")]
    TimedOut { limit: Duration },
    #[error("the authenticator panicked")]
    Panicked,
}

/// What the apiserver logs must not be empty.
fn or<'a>(reason: &'a str, otherwise: &'a str) -> &'a str {
    if reason.is_empty() { otherwise } else { reason }
}

impl Rejection {
    /// The status code, and its reason in Kubernetes' words
    /// (`apimachinery/pkg/apis/meta/v1/types.go`, `StatusReason`, v0.37.2).
    ///
    /// They decide whether the apiserver asks again: it does after 429, 500 and 504
    /// (`apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2). What took too
    /// long is therefore no 504: asked again, a slow directory becomes slower.
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Decode(_) | Self::Cut(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
            // Kubernetes has no word for it, its `Timeout` would be asked again.
            Self::SlowBody { .. } => (StatusCode::REQUEST_TIMEOUT, "BadRequest"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Self::MediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Self::Path { .. } => (StatusCode::NOT_FOUND, "NotFound"),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::Full | Self::Overloaded { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")
            }
            Self::Unavailable { .. } | Self::TimedOut { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
            }
            Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Decode(_)
            | Self::Cut(_)
            | Self::SlowBody { .. }
            | Self::TooLarge { .. }
            | Self::MediaType { .. }
            | Self::Path { .. }
            | Self::Method { .. } => Outcome::Malformed,
            Self::Full | Self::Overloaded { .. } => Outcome::Overloaded,
            Self::Unavailable { .. } => Outcome::Unavailable,
            Self::TimedOut { .. } => Outcome::TimedOut,
            Self::Panicked => Outcome::Panicked,
        }
    }

    /// The answer with this text in it, and with this delay where asking again makes sense.
    pub(crate) fn respond(&self, message: &str, retry_after: Option<Duration>) -> Response {
        let (code, reason) = self.code();
        let status = Status {
            kind: "Status",
            api_version: "v1",
            outcome: "Failure",
            message,
            reason,
            code: code.as_u16(),
        };
        let body = serde_json::to_vec(&status).expect("texts and a number must become JSON");
        let mut response = (code, [(CONTENT_TYPE, JSON)], body).into_response();
        let headers = response.headers_mut();
        if let Self::Method { allow } = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if code == StatusCode::TOO_MANY_REQUESTS || code == StatusCode::SERVICE_UNAVAILABLE {
            let seconds =
                retry_after.map(|delay| delay.as_secs() + u64::from(delay.subsec_nanos() > 0));
            headers.extend(seconds.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
        }
        response
    }
}

/// The fields of a `metav1.Status` that a failure fills.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'a str,
    api_version: &'a str,
    #[serde(rename = "status")]
    outcome: &'a str,
    message: &'a str,
    reason: &'a str,
    code: u16,
}
