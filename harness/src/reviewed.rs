//! One TokenReview that a person posts, and what the webhook made of it.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokenlab_webhook::{ApiVersion, Token};

use crate::webhook::Answer;

/// What stands for the token in an answer that repeats it.
const MARK: &str = "[the token]";
/// A token at least this long is looked for within other texts too.
const LONG: usize = 8;

/// One TokenReview that was posted to a webhook, and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reviewed {
    /// The version that was asked in: `authentication.k8s.io/v1`.
    pub api_version: String,
    /// The HTTP status.
    pub status: u16,
    /// From the question to the answer, in microseconds: a new connection is included, and on a
    /// cluster the way through its apiserver.
    pub latency_us: u64,
    /// What the apiserver would make of it: as JSON `decision`, and what belongs to it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The answer's body, a text where it is not JSON. Where it repeats the token, a mark stands.
    pub answer: Value,
}

/// What the apiserver makes of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "decision")]
#[non_exhaustive]
pub enum Verdict {
    /// The token is good.
    Authenticated {
        /// The user's name; empty when none was given.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        user: String,
        /// Its uid; empty: none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        uid: String,
        /// Its groups.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
    },
    /// The token is not good: a user gets 401.
    Refused,
    /// The webhook did not do its part, and a user gets 401 too.
    Failed {
        /// What it did instead.
        reason: String,
    },
}

/// The review, as the apiserver posts it.
pub(crate) fn question(version: ApiVersion, token: &Token, audiences: &[String]) -> String {
    let mut spec = json!({"token": token.expose()});
    if !audiences.is_empty() {
        spec["audiences"] = json!(audiences);
    }
    json!({"apiVersion": version.as_str(), "kind": "TokenReview", "spec": spec}).to_string()
}

impl Reviewed {
    pub(crate) fn new(
        version: ApiVersion,
        token: &Token,
        audiences: &[String],
        answer: &Answer,
        took: Duration,
    ) -> Self {
        let Answer { status, body } = answer;
        let mut answer = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body.trim()));
        let mut verdict = Verdict::new(version, audiences, *status, &answer);
        hide(&mut answer, token.expose());
        verdict.hide(token.expose());
        Self {
            api_version: version.as_str().to_owned(),
            status: status.as_u16(),
            latency_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            verdict,
            answer,
        }
    }

    /// Whether the token is good.
    pub fn is_authenticated(&self) -> bool {
        matches!(self.verdict, Verdict::Authenticated { .. })
    }
}

impl Verdict {
    /// As the apiserver judges (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`,
    /// v0.37.2): any status but 2xx is an error, another version cannot be decoded, the audiences
    /// count before all that is said of the token, and an error text counts only where the token is
    /// not called good.
    fn new(asked: ApiVersion, audiences: &[String], http: StatusCode, answer: &Value) -> Self {
        let failed = |reason: String| Self::Failed { reason };
        if !http.is_success() {
            return failed(format!("HTTP status {http}"));
        }
        // Kind and version may be left out: client-go knows what it asked for.
        let said = |key: &str| answer[key].as_str().filter(|text| !text.is_empty());
        if !answer.is_object() || said("kind").is_some_and(|kind| kind != "TokenReview") {
            return failed("it is no TokenReview".to_owned());
        }
        if let Some(version) = said("apiVersion")
            && version != asked.as_str()
        {
            return failed(format!(
                "its apiVersion is `{version}`, not that of the question"
            ));
        }
        let status = &answer["status"];
        let good = status["authenticated"].as_bool();
        if !is_for(audiences, &status["audiences"]) {
            return match good {
                Some(true) => failed("its audiences are none of those of the question".to_owned()),
                _ => Self::Refused,
            };
        }
        match (good, status["error"].as_str()) {
            (Some(true), _) => Self::of_user(&status["user"]),
            (_, None | Some("")) => Self::Refused,
            (_, Some(error)) => failed(format!("status.error: {error}")),
        }
    }

    /// What the webhook said of the token may have it.
    fn hide(&mut self, token: &str) {
        match self {
            Self::Authenticated { user, uid, groups } => {
                let texts = [user, uid].into_iter().chain(groups);
                texts.for_each(|text| hide_in(text, token));
            }
            Self::Failed { reason } => hide_in(reason, token),
            Self::Refused => {}
        }
    }

    fn of_user(user: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let groups = user["groups"].as_array().map(Vec::as_slice);
        Self::Authenticated {
            user: text(&user["username"]),
            uid: text(&user["uid"]),
            groups: groups.unwrap_or_default().iter().map(text).collect(),
        }
    }
}

/// Whether an answer is for one of the audiences that were asked for. One that names none is for those
/// of the apiserver, which are those that it asks for.
fn is_for(asked: &[String], named: &Value) -> bool {
    let named = named.as_array().map(Vec::as_slice).unwrap_or_default();
    let fits = |name: &Value| asked.iter().any(|asked| name.as_str() == Some(asked));
    asked.is_empty() || named.is_empty() || named.iter().any(fits)
}

/// Replaces the token wherever the answer repeats it.
fn hide(answer: &mut Value, token: &str) {
    match answer {
        Value::String(text) => hide_in(text, token),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, token)),
        Value::Object(fields) => fields.values_mut().for_each(|value| hide(value, token)),
        _ => {}
    }
}

pub(crate) fn hide_in(text: &mut String, token: &str) {
    if text == token {
        MARK.clone_into(text);
    } else if token.len() >= LONG {
        *text = text.replace(token, MARK);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const V1: &str = "authentication.k8s.io/v1";

    #[rstest]
    #[case::good(200, json!({"authenticated": true, "user": {"username": "ann", "uid": "7", "groups": ["a"]}}),
        Verdict::Authenticated { user: "ann".to_owned(), uid: "7".to_owned(), groups: vec!["a".to_owned()] })]
    #[case::good_whatever_is_said(200, json!({"authenticated": true, "error": "x", "user": null}),
        Verdict::Authenticated { user: String::new(), uid: String::new(), groups: Vec::new() })]
    #[case::refused(200, json!({"authenticated": false}), Verdict::Refused)]
    #[case::nothing_said(200, json!({}), Verdict::Refused)]
    #[case::undecided(200, json!({"error": "no"}), Verdict::Failed { reason: "status.error: no".to_owned() })]
    #[case::not_2xx(500, json!({"authenticated": true}),
        Verdict::Failed { reason: "HTTP status 500 Internal Server Error".to_owned() })]
    fn it_is_judged_as_by_the_apiserver(
        #[case] http: u16,
        #[case] status: Value,
        #[case] expected: Verdict,
    ) {
        let answer = json!({"apiVersion": V1, "kind": "TokenReview", "status": status});
        let http = StatusCode::from_u16(http).expect("must be a status");
        assert_eq!(Verdict::new(ApiVersion::V1, &[], http, &answer), expected);
    }

    #[rstest]
    #[case::one_of_them(json!(["y", "x"]), true, None)]
    #[case::none_named(json!([]), true, None)]
    #[case::others(json!(["y"]), true, Some(Verdict::Failed {
        reason: "its audiences are none of those of the question".to_owned() }))]
    #[case::others_of_a_bad_one(json!(["y"]), false, Some(Verdict::Refused))]
    fn its_audiences_count_first(
        #[case] audiences: Value,
        #[case] good: bool,
        #[case] unlike_good: Option<Verdict>,
    ) {
        let status = json!({"authenticated": good, "audiences": audiences, "error": "x"});
        let answer = json!({"apiVersion": V1, "kind": "TokenReview", "status": status});
        let asked = ["x".to_owned()];
        let verdict = Verdict::new(ApiVersion::V1, &asked, StatusCode::OK, &answer);
        match unlike_good {
            Some(expected) => assert_eq!(verdict, expected),
            None => assert!(
                matches!(verdict, Verdict::Authenticated { .. }),
                "{verdict:?}"
            ),
        }
    }

    #[test]
    fn kind_and_version_may_be_left_out() {
        let read = |answer| Verdict::new(ApiVersion::V1, &[], StatusCode::OK, &answer);
        let good = read(json!({"status": {"authenticated": true}}));
        assert!(matches!(good, Verdict::Authenticated { .. }), "{good:?}");
        let reason = "it is no TokenReview".to_owned();
        let none = Verdict::Failed { reason };
        assert_eq!(read(json!("hello")), none);
        assert_eq!(read(json!({"kind": "Status"})), none);
    }

    #[test]
    fn another_version_is_no_answer() {
        let answer = json!({"apiVersion": V1, "kind": "TokenReview",
            "status": {"authenticated": true}});
        let verdict = Verdict::new(ApiVersion::V1Beta1, &[], StatusCode::OK, &answer);
        let reason = format!("its apiVersion is `{V1}`, not that of the question");
        assert_eq!(verdict, Verdict::Failed { reason });
    }

    fn reviewed(token: &str, body: &Value) -> Reviewed {
        let answer = Answer {
            status: StatusCode::OK,
            body: body.to_string(),
        };
        let token = Token::from(token);
        Reviewed::new(ApiVersion::V1, &token, &[], &answer, Duration::ZERO)
    }

    #[test]
    fn a_repeated_token_is_hidden() {
        let body = json!({"spec": {"token": "canary-1"}, "said": ["no canary-1 here", 1]});
        let expected = json!({"spec": {"token": MARK}, "said": ["no [the token] here", 1]});
        assert_eq!(reviewed("canary-1", &body).answer, expected);
        let body = json!({"apiVersion": V1, "kind": "TokenReview",
            "status": {"error": "canary-1 is bad"}});
        let reason = format!("status.error: {MARK} is bad");
        assert_eq!(
            reviewed("canary-1", &body).verdict,
            Verdict::Failed { reason }
        );
        // One that is a word of everybody's is hidden where it stands alone.
        let body = json!({"spec": {"token": "a"}, "said": "a a"});
        let expected = json!({"spec": {"token": MARK}, "said": "a a"});
        assert_eq!(reviewed("a", &body).answer, expected);
    }
}
