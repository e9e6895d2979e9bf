//! What is said of a token.

use serde_json::json;
use tokenlab_webhook::{ApiVersion, Token};

use super::subject::{Question, Subject, quoted};
use super::{Not, Seen};

pub(super) async fn known(subject: &Subject) -> Seen {
    let answer = subject.whose(subject.known()?).await?;
    let user = &answer.authenticated()?.status()["user"]["username"];
    match user.as_str().unwrap_or_default() {
        "" => Err(Not::But("it names no user".to_owned())),
        name => Ok(quoted(name)),
    }
}

pub(super) async fn refusal(subject: &Subject) -> Seen {
    let answer = subject.whose(&subject.unknown).await?;
    answer.refusal()?;
    Ok("it is".to_owned())
}

pub(super) async fn refusal_without_error(subject: &Subject) -> Seen {
    let answer = subject.whose(&subject.unknown).await?;
    match answer.refusal()?.text("error") {
        "" => Ok("none".to_owned()),
        error => Err(Not::But(format!("`status.error` is {}", quoted(error)))),
    }
}

pub(super) async fn refusal_names_nobody(subject: &Subject) -> Seen {
    let answer = subject.whose(&subject.unknown).await?;
    let user = &answer.refusal()?.status()["user"]["username"];
    match user.as_str().unwrap_or_default() {
        "" => Ok("nobody".to_owned()),
        name => Err(Not::But(format!("it names {}", quoted(name)))),
    }
}

/// Whether it answers that with a status of its own is its own affair.
pub(super) async fn empty(subject: &Subject) -> Seen {
    let review = subject.review(ApiVersion::V1Beta1, &Token::from(""));
    let reply = subject.ask(&Question::of(&review)).await?;
    if let Ok(answer) = reply.review() {
        answer.refusal()?;
    }
    Ok(format!("the HTTP status is {}", reply.status))
}

/// As the HTTP header lets through: the apiserver takes up to a mebibyte.
pub(super) async fn large(subject: &Subject) -> Seen {
    let token = Token::from("x".repeat(64 * 1024));
    subject.whose(&token).await?.refusal()?;
    Ok("it is".to_owned())
}

/// Go writes `<`, `>` and `&` as escapes; whoever may write any character so.
pub(super) async fn escaped(subject: &Subject) -> Seen {
    let token = subject.known()?.expose();
    let units = token.encode_utf16();
    let escapes: Vec<_> = units.map(|unit| format!("\\u{unit:04x}")).collect();
    let mark = "lab-escaped-token";
    let review = subject.review(ApiVersion::V1Beta1, &Token::from(mark));
    let body = review.to_string().replace(mark, &escapes.concat());
    let answer = subject.ask(&Question::of(&body)).await?.review()?;
    answer.authenticated()?;
    Ok("it is".to_owned())
}

/// Of a token that is known, if there is one: the answer is longer.
pub(super) async fn not_repeated(subject: &Subject) -> Seen {
    let token = subject.any();
    let answer = subject.whose(token).await?;
    if answer.0.to_string().contains(token.expose()) {
        return Err(Not::But("the token is in the answer".to_owned()));
    }
    Ok("it is not".to_owned())
}

/// None at all is right too: it means those of the apiserver. And so is a refusal, of a token that
/// is for others.
pub(super) async fn audiences(subject: &Subject) -> Seen {
    let asked = "https://nobody-asked-for-this-before.example";
    let mut review = subject.review(ApiVersion::V1Beta1, subject.known()?);
    review["spec"]["audiences"] = json!([asked]);
    let answer = subject.ask(&Question::of(&review)).await?.review()?;
    let named = answer.audiences();
    if answer.is_authenticated() && named.iter().any(|&named| named != asked) {
        let named = quoted(&named.join(", "));
        return Err(Not::But(format!("asked for `{asked}` it names {named}")));
    }
    Ok(match (answer.is_authenticated(), named.len()) {
        (false, _) => "it refuses the token for others".to_owned(),
        (true, 0) => "it names none".to_owned(),
        (true, _) => "it does".to_owned(),
    })
}

pub(super) async fn content_type(subject: &Subject) -> Seen {
    let review = subject.review(ApiVersion::V1Beta1, &subject.unknown);
    let content_type = subject.ask(&Question::of(&review)).await?.content_type;
    let essence = content_type.split(';').next().unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case("application/json") {
        return Err(Not::But(format!("it is {}", quoted(&content_type))));
    }
    Ok("it is".to_owned())
}
