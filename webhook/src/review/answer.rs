//! [`Decision`] to JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::{ApiVersion, KIND};
use crate::{Decision, User};

/// Writes the answer: `apiVersion`, `kind` and `status`, without the question's `spec` (nobody
/// needs the token back) and `metadata`. `authenticated` is always there, empty fields never.
///
/// The decision is written as it is; [`Decision::narrowed`] comes before. A reason becomes
/// `status.error`; [`router`](crate::router()) sends those of [`Decision::Unavailable`] and
/// [`Decision::Overloaded`] as a `metav1.Status` instead.
pub fn encode(api_version: ApiVersion, decision: &Decision) -> Bytes {
    let status = match decision {
        Decision::Authenticated { user, audiences } => Status {
            authenticated: true,
            user: Some(user.into()),
            audiences,
            error: "",
        },
        Decision::Refused => Status::default(),
        Decision::Undecided { reason }
        | Decision::Unavailable { reason }
        | Decision::Overloaded { reason } => Status {
            // Empty, it would be a refusal, which the apiserver remembers.
            error: if reason.is_empty() {
                "undecided"
            } else {
                reason
            },
            ..Status::default()
        },
    };
    // Room for most of them. What is ours has nothing to escape.
    let mut answer = Vec::with_capacity(512);
    for piece in [
        r#"{"apiVersion":""#,
        api_version.as_str(),
        r#"","kind":""#,
        KIND,
        r#"","status":"#,
    ] {
        answer.extend_from_slice(piece.as_bytes());
    }
    serde_json::to_writer(&mut answer, &status).expect("strings and lists must become JSON");
    answer.push(b'}');
    answer.into()
}

#[derive(Default, Serialize)]
struct Status<'a> {
    authenticated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserInfo<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    audiences: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
}

#[derive(Serialize)]
struct UserInfo<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: &'a BTreeMap<String, Vec<String>>,
}

impl<'a> From<&'a User> for UserInfo<'a> {
    fn from(user: &'a User) -> Self {
        let User {
            username,
            uid,
            groups,
            extra,
        } = user;
        Self {
            username,
            uid,
            groups,
            extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn answer(decision: &Decision) -> String {
        let body = encode(ApiVersion::V1, decision);
        String::from_utf8(body.to_vec()).expect("UTF-8")
    }

    #[test]
    fn everything() {
        let user = User::new("ann")
            .with_uid("7")
            .with_group("a")
            .with_extra("example.org/team", ["red"]);
        let decision = Decision::Authenticated {
            user,
            audiences: vec!["api".to_owned()],
        };
        assert_snapshot!(answer(&decision), @r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"ann","uid":"7","groups":["a"],"extra":{"example.org/team":["red"]}},"audiences":["api"]}}"#);
    }

    #[test]
    fn empty_fields_are_left_out() {
        let decision = Decision::authenticated(User::new("ann"));
        assert_snapshot!(answer(&decision), @r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"ann"}}}"#);
    }

    #[test]
    fn a_refusal_has_no_error() {
        assert_snapshot!(answer(&Decision::Refused), @r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false}}"#);
    }

    #[test]
    fn undecided_always_has_an_error() {
        let because = |reason: &str| Decision::Undecided {
            reason: reason.to_owned(),
        };
        assert_snapshot!(answer(&because("no directory")), @r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false,"error":"no directory"}}"#);
        assert_snapshot!(answer(&because("")), @r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false,"error":"undecided"}}"#);
    }
}
