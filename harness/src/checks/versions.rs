//! The version of TokenReview: that of the question is that of the answer.

use serde_json::{Value, json};
use tokenlab_webhook::ApiVersion;

use super::subject::{Question, Subject, quoted};
use super::{Not, Seen};

/// An answer that names no version is taken for one in the version of the question.
pub(super) async fn echoed(subject: &Subject, version: ApiVersion) -> Seen {
    let review = subject.review(version, subject.any());
    let answer = subject.ask(&Question::of(&review)).await?.review()?;
    match answer.0.get("apiVersion") {
        None => Ok("no version is named".to_owned()),
        Some(named) if named == version.as_str() => Ok("it is".to_owned()),
        Some(other) => {
            let other = other.as_str().unwrap_or_default();
            Err(Not::But(format!("its `apiVersion` is {}", quoted(other))))
        }
    }
}

pub(super) async fn named(subject: &Subject) -> Seen {
    let answer = subject.whose(subject.any()).await?;
    for field in ["apiVersion", "kind"] {
        if answer.0.get(field).is_none() {
            return Err(Not::But(format!("it has no `{field}`")));
        }
    }
    match answer.0["kind"].as_str().unwrap_or_default() {
        "TokenReview" => Ok("they are".to_owned()),
        other => Err(Not::But(format!("its `kind` is {}", quoted(other)))),
    }
}

/// Until 1.33 an object without a time of creation was written with one that is null.
pub(super) async fn older(subject: &Subject) -> Seen {
    let mut review = subject.review(ApiVersion::V1Beta1, subject.any());
    review["metadata"] = json!({"creationTimestamp": null});
    as_any(subject, &review).await?;
    Ok("it is".to_owned())
}

pub(super) async fn newer(subject: &Subject) -> Seen {
    let mut review = subject.review(ApiVersion::V1Beta1, subject.any());
    review["spec"]["notYetThought"] = json!({"of": ["it"]});
    review["metadata"]["labels"] = json!({"for": "what"});
    as_any(subject, &review).await?;
    Ok("they are".to_owned())
}

/// The answer must be that to the token, not only one.
async fn as_any(subject: &Subject, review: &Value) -> Result<(), Not> {
    let answer = subject.ask(&Question::of(review)).await?.review()?;
    match subject.known {
        Some(_) => answer.authenticated().map(drop),
        None => answer.refusal().map(drop),
    }
}
