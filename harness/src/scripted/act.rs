//! What a webhook does with one review: an honest answer, or whatever a test wants it to be.

use std::io::{self, Write as _};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt as _};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokenlab_webhook::Decision;

/// What is done with one review.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    delay: Duration,
    does: Does,
}

#[derive(Clone, Debug, PartialEq)]
enum Does {
    Decide(Decision),
    Answer(RawAnswer),
    Hang,
}

impl Act {
    /// The product's own answer with this decision.
    pub fn decide(decision: Decision) -> Self {
        Self::now(Does::Decide(decision))
    }

    /// This answer, whatever it is.
    pub fn answer(answer: RawAnswer) -> Self {
        Self::now(Does::Answer(answer))
    }

    /// No answer, ever; the connection stays.
    pub fn hang() -> Self {
        Self::now(Does::Hang)
    }

    fn now(does: Does) -> Self {
        let delay = Duration::ZERO;
        Self { delay, does }
    }

    /// The same, so much later; by default at once.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How much later than it could.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    /// The decision, where it is the product that answers.
    pub fn decision(&self) -> Option<&Decision> {
        match &self.does {
            Does::Decide(decision) => Some(decision),
            Does::Answer(_) | Does::Hang => None,
        }
    }

    /// What is answered past the product; `None` where it is the product that answers.
    pub(super) async fn played(&self) -> Option<Response> {
        match &self.does {
            Does::Decide(_) => None,
            Does::Answer(answer) => Some(answer.response()),
            Does::Hang => std::future::pending().await,
        }
    }
}

impl From<Decision> for Act {
    fn from(decision: Decision) -> Self {
        Self::decide(decision)
    }
}

impl From<RawAnswer> for Act {
    fn from(answer: RawAnswer) -> Self {
        Self::answer(answer)
    }
}

/// What is done with the reviews of one token, in turn; the last act is repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Play(Vec<Act>);

impl Play {
    /// And then this.
    #[must_use]
    pub fn then(mut self, act: impl Into<Act>) -> Self {
        self.0.push(act.into());
        self
    }

    /// The act for the review with this number, from 0.
    pub(super) fn act(&self, number: usize) -> &Act {
        &self.0[number.min(self.0.len() - 1)]
    }
}

impl Act {
    /// So often, at least once.
    pub fn times(self, often: usize) -> Play {
        Play(vec![self; often.max(1)])
    }

    /// Once, and then the other.
    pub fn then(self, act: impl Into<Self>) -> Play {
        self.times(1).then(act)
    }
}

impl<A: Into<Act>> From<A> for Play {
    fn from(act: A) -> Self {
        act.into().times(1)
    }
}

/// An answer by its parts. Nothing looks whether it makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct RawAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    pieces: Option<(usize, Duration)>,
    cut: Option<usize>,
}

impl RawAnswer {
    /// With this status and body, and no header but the body's length.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            pieces: None,
            cut: None,
        }
    }

    /// 200, with this JSON.
    pub fn json(body: &Value) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self::new(StatusCode::OK, body.to_string()).with_header(CONTENT_TYPE, json)
    }

    /// With this header too.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// With the body compressed, and a header that says so.
    #[must_use]
    pub fn gzipped(mut self) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let body = gzip.write_all(&self.body).and_then(|()| gzip.finish());
        self.body = body.expect("memory takes all that is written").into();
        self.with_header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
    }

    /// With the body in pieces of so many octets, and so long a pause before each.
    #[must_use]
    pub fn piecewise(mut self, octets: usize, pause: Duration) -> Self {
        self.pieces = Some((octets.max(1), pause));
        self
    }

    /// With the body ended, by an error of the stream, after so many octets: less than its length
    /// says.
    #[must_use]
    pub fn cut_after(mut self, octets: usize) -> Self {
        self.cut = Some(octets);
        self
    }

    fn response(&self) -> Response {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        // Of a stream nobody else knows it.
        let length = HeaderValue::from(self.body.len());
        let headers = response.headers_mut();
        headers.entry(CONTENT_LENGTH).or_insert(length);
        response
    }

    fn body(&self) -> Body {
        let sent = self
            .cut
            .map_or(self.body.len(), |cut| cut.min(self.body.len()));
        let sent = self.body.slice(..sent);
        let (size, pause) = self.pieces.unwrap_or((usize::MAX, Duration::ZERO));
        if self.pieces.is_none() && self.cut.is_none() {
            return Body::from(sent);
        }
        let pieces: Vec<_> = (sent.chunks(size))
            .map(|piece| sent.slice_ref(piece))
            .collect();
        let pieces = stream::iter(pieces).then(move |piece| async move {
            // Not a wait for something: the pause is what was asked for. Of nothing too: what came
            // before leaves while there is nothing more, and an error takes back what has not left.
            tokio::time::sleep(pause).await;
            Ok::<_, io::Error>(piece)
        });
        if self.cut.is_none() {
            return Body::from_stream(pieces);
        }
        let error = async { Err(io::Error::other("cut, as it was asked for")) };
        Body::from_stream(pieces.chain(stream::once(error)))
    }
}
