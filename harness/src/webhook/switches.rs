//! What a lab can have its webhook do wrong: answer late, or answer nonsense.
//!
//! All of it lies around the product's router and its authenticator; neither knows of it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenlab_webhook::{ApiVersion, BODY_LIMIT};

/// A way to answer wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// Every answer is in the version that it was not asked in: v1 for v1beta1. The apiserver
    /// cannot read it, which is an error to it and not remembered.
    OtherVersion,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherVersion => "other-version",
        })
    }
}

/// What is switched on. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Switches(Arc<Mutex<Positions>>);

#[derive(Clone, Copy, Debug, Default)]
struct Positions {
    latency: Duration,
    fault: Option<Fault>,
}

impl Switches {
    pub(super) fn latency(&self) -> Duration {
        self.positions().latency
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        self.positions().latency = latency;
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.positions().fault
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.positions().fault = fault;
    }

    fn positions(&self) -> MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the fault that is set out of a right answer.
pub(super) async fn spoil(
    State(switches): State<Switches>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    match switches.fault() {
        None => response,
        Some(Fault::OtherVersion) => in_the_other_version(response).await,
    }
}

/// A review's answer in the other version; what is no review's answer is left as it is.
async fn in_the_other_version(response: Response) -> Response {
    let (head, body) = response.into_parts();
    // An answer is written whole before it is sent: this cannot fail.
    let body = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let swapped = serde_json::from_slice(&body)
        .ok()
        .and_then(|mut answer: Value| {
            let version = answer.get_mut("apiVersion")?;
            let other = match version.as_str()?.parse().ok()? {
                ApiVersion::V1 => ApiVersion::V1Beta1,
                ApiVersion::V1Beta1 => ApiVersion::V1,
            };
            *version = other.as_str().into();
            Some(Body::from(answer.to_string()))
        });
    Response::from_parts(head, swapped.unwrap_or_else(|| Body::from(body)))
}
