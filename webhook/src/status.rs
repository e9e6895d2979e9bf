//! Failures as the apiserver reads them.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::review::DecodeError;

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
    #[error("the body is larger than {limit} octets")]
    TooLarge { limit: usize },
    #[error("nothing is here: send TokenReviews to `{path}`")]
    Path { path: &'static str },
    #[error("this method is not served here, use {allow}")]
    Method { allow: &'static str },
}

impl Rejection {
    /// The status code, and its reason in Kubernetes' words
    /// (`apimachinery/pkg/apis/meta/v1/types.go`, `StatusReason`, v0.37.2).
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Decode(_) | Self::Cut(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Self::Path { .. } => (StatusCode::NOT_FOUND, "NotFound"),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (code, reason) = self.code();
        let message = self.to_string();
        tracing::info!(
            outcome = "rejected",
            code = code.as_u16(),
            reason = message,
            "request"
        );
        let status = Status {
            kind: "Status",
            api_version: "v1",
            outcome: "Failure",
            message: &message,
            reason,
            code: code.as_u16(),
        };
        let body = serde_json::to_vec(&status).expect("texts and a number must become JSON");
        let mut response = (code, [(CONTENT_TYPE, JSON)], body).into_response();
        if let Self::Method { allow } = self {
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allow));
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
