//! What is no question: it is told so, by the status that says what is wrong with it.

use http::{Method, StatusCode};
use serde_json::json;
use tokenlab_webhook::ApiVersion;

use super::subject::{Question, Reply, Subject};
use super::{Not, Seen};
use crate::webhook::PostError;

/// A good question, to be spoilt.
fn good(subject: &Subject) -> Question {
    Question::of(&subject.review(ApiVersion::V1Beta1, &subject.unknown))
}

async fn told(subject: &Subject, question: &Question, expected: StatusCode) -> Seen {
    subject
        .way(None)
        .await?
        .ask(question)
        .await?
        .is_told(expected)
}

impl Reply {
    fn is_told(&self, expected: StatusCode) -> Seen {
        if self.status != expected {
            return Err(Not::But(format!("the HTTP status is {}", self.status)));
        }
        Ok("it is".to_owned())
    }
}

pub(super) async fn method(subject: &Subject) -> Seen {
    let question = Question {
        method: Method::GET,
        ..good(subject)
    };
    told(subject, &question, StatusCode::METHOD_NOT_ALLOWED).await
}

pub(super) async fn path(subject: &Subject) -> Seen {
    let question = Question {
        below: "/nothing-is-here",
        ..good(subject)
    };
    told(subject, &question, StatusCode::NOT_FOUND).await
}

pub(super) async fn content_type(subject: &Subject) -> Seen {
    let question = Question {
        content_type: "text/plain",
        ..good(subject)
    };
    told(subject, &question, StatusCode::UNSUPPORTED_MEDIA_TYPE).await
}

pub(super) async fn garbage(subject: &Subject) -> Seen {
    let question = Question::of("{\"kind\":\"TokenReview\",");
    told(subject, &question, StatusCode::BAD_REQUEST).await
}

pub(super) async fn kind(subject: &Subject) -> Seen {
    with(subject, "kind", "SubjectAccessReview").await
}

pub(super) async fn version(subject: &Subject) -> Seen {
    with(subject, "apiVersion", "authentication.k8s.io/v2").await
}

async fn with(subject: &Subject, field: &str, value: &str) -> Seen {
    let mut review = subject.review(ApiVersion::V1Beta1, &subject.unknown);
    review[field] = json!(value);
    told(subject, &Question::of(&review), StatusCode::BAD_REQUEST).await
}

/// More than an apiserver can be made to send: six times its limit for headers, when each octet of
/// a token becomes an escape.
pub(super) async fn too_large(subject: &Subject) -> Seen {
    let mut question = good(subject);
    question.body += &" ".repeat(8 * 1024 * 1024);
    let seen = match subject.way(None).await?.ask(&question).await {
        Ok(reply) => return reply.is_told(StatusCode::PAYLOAD_TOO_LARGE),
        // Over HTTP/1.1 what says so with the body unread takes its answer back by closing.
        Err(PostError::Http(error)) if !error.is_connect() && !error.is_timeout() => {
            "it closes the connection"
        }
        Err(error) => return Err(error.into()),
    };
    // Or the body was the end of it.
    match subject.ask(&good(subject)).await {
        Ok(_) => Ok(seen.to_owned()),
        Err(_) => Err(Not::But(format!("{seen}, and answers no more"))),
    }
}
