//! Ways to fail that take seconds. The scenario that comes first has a request made for each of
//! them, side by side; it and all others wait for what came of their own.

use std::time::Duration;

use futures::future::join_all;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use tokenlab_harness::{Act, Play, RawAnswer, SharedLab};
use tokio::sync::OnceCell;

use crate::lab::evidence::Asked;
use crate::support::review;

/// How a webhook fails, each time that it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fails {
    /// With this HTTP status.
    With(u16),
    /// With this HTTP status and this Retry-After.
    For(u16, &'static str),
    /// With this HTTP status, and a `metav1.Status` of this reason and this delay in seconds.
    Told(u16, &'static str, u32),
    /// By no answer.
    Silent,
    /// By a body of which the second half comes after 40 seconds.
    HalfSilent,
    /// With 500, each time after seven seconds.
    Late,
    /// With the right answer, under a header that names no media type.
    Untyped,
}

use Fails::{For, HalfSilent, Late, Silent, Told, Untyped, With};

impl Fails {
    fn play(self) -> Play {
        let act: Act = match self {
            With(code) => status(code).into(),
            For(code, delay) => with(status(code), RETRY_AFTER, delay).into(),
            Told(code, reason, delay) => told(code, reason, delay).into(),
            Silent => Act::hang(),
            HalfSilent => status(200).piecewise(6, Duration::from_secs(20)).into(),
            Late => Act::from(status(500)).after(Duration::from_secs(7)),
            Untyped => untyped().into(),
        };
        act.into()
    }
}

fn untyped() -> RawAnswer {
    let ann = review(&json!({"authenticated": true, "user": {"username": "ann"}}));
    let ann = RawAnswer::new(StatusCode::OK, ann.to_string());
    with(ann, CONTENT_TYPE, "application/json;;")
}

fn told(code: u16, reason: &str, delay: u32) -> RawAnswer {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "reason": reason,
        "message": "out of order",
        "details": {"retryAfterSeconds": delay},
        "code": code,
    });
    let code = StatusCode::from_u16(code).expect("is one");
    in_json(RawAnswer::new(code, body.to_string()))
}

/// The same, said to be JSON.
pub(crate) fn in_json(answer: RawAnswer) -> RawAnswer {
    with(answer, CONTENT_TYPE, "application/json")
}

/// A delay that is a date, and not over.
pub(crate) const A_DATE: &str = "Fri, 31 Dec 2100 12:00:00 GMT";

/// What takes some five seconds.
pub(crate) static SECONDS: SideBySide = SideBySide::of(&[
    With(429),
    With(500),
    With(501),
    With(502),
    With(504),
    With(599),
    For(429, "0"),
    For(500, "0"),
    For(502, "0"),
    For(503, "0"),
    For(504, "0"),
    For(404, "0"),
    For(401, "1"),
    For(404, "1"),
    For(429, A_DATE),
    For(503, A_DATE),
    Told(500, "Forbidden", 0),
    Told(403, "InternalError", 0),
    Told(503, "Timeout", 0),
    Told(503, "ServiceUnavailable", 1),
    Untyped,
]);

/// What takes half a minute.
pub(crate) static HALF_A_MINUTE: SideBySide = SideBySide::of(&[
    For(429, "1"),
    For(500, "1"),
    For(503, "1"),
    For(429, "30"),
    For(500, "30"),
    For(503, "30"),
    Silent,
    HalfSilent,
    Late,
]);

/// An answer of this status, without more.
pub(crate) fn status(code: u16) -> RawAnswer {
    let code = StatusCode::from_u16(code).expect("is one");
    RawAnswer::new(code, "out of order")
}

fn with(answer: RawAnswer, name: HeaderName, value: &'static str) -> RawAnswer {
    answer.with_header(name, HeaderValue::from_static(value))
}

/// Some ways to fail, and what came of a request in each.
pub(crate) struct SideBySide {
    ways: &'static [Fails],
    asked: OnceCell<Vec<Asked>>,
}

impl SideBySide {
    const fn of(ways: &'static [Fails]) -> Self {
        Self {
            ways,
            asked: OnceCell::const_new(),
        }
    }

    /// What came of one request under a token of its own.
    pub(crate) async fn asked(&self, lab: &SharedLab, way: Fails) -> Asked {
        let asked = self.asked.get_or_init(|| {
            join_all(self.ways.iter().map(async |way| {
                let token = lab.scripted().token(way.play());
                Asked::new(lab, lab.scripted(), &token).await
            }))
        });
        let place = self.ways.iter().position(|&of| of == way);
        let place = place.unwrap_or_else(|| panic!("{way:?} must be one of {:?}", self.ways));
        asked.await[place].clone()
    }
}
