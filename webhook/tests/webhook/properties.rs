use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenlab_webhook::review::{decode, encode};
use tokenlab_webhook::{ApiVersion, Decision, User};

/// Control characters, too.
const TEXT: &str = "(?s:.*)";

fn api_version() -> impl Strategy<Value = ApiVersion> {
    prop_oneof![Just(ApiVersion::V1), Just(ApiVersion::V1Beta1)]
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec(TEXT, 0..4)
}

fn decision() -> impl Strategy<Value = Decision> {
    let extra = btree_map(TEXT, names(), 0..3);
    let user = ([TEXT, TEXT], names(), extra).prop_map(|([name, uid], groups, extra)| {
        let user = User::new(name).with_uid(uid).with_groups(groups);
        extra
            .into_iter()
            .fold(user, |user, (key, values)| user.with_extra(key, values))
    });
    prop_oneof![
        (user, names()).prop_map(|(user, audiences)| Decision::Authenticated { user, audiences }),
        Just(Decision::Refused),
        TEXT.prop_map(|reason| Decision::Undecided { reason }),
        TEXT.prop_map(|reason| Decision::Unavailable { reason }),
        TEXT.prop_map(|reason| Decision::Overloaded { reason }),
    ]
}

/// What empty fields are read as by who knows them.
fn list(value: &Value) -> Vec<String> {
    let list = value.as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|item| item.as_str().expect("a text").to_owned())
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

proptest! {
    #[test]
    fn any_review_is_read(
        token in "(?s:.+)",
        audiences in names(),
        version in api_version(),
        spelling in 0..3_u8,
    ) {
        let review = json!({
            "kind": "TokenReview",
            "apiVersion": version.as_str(),
            "spec": { "token": token, "audiences": audiences },
        });
        let body = match spelling {
            0 => review.to_string(),
            1 => format!("{review:#}"),
            // As Go writes it: these are escaped.
            _ => review.to_string().replace('<', r"\u003c").replace('&', r"\u0026"),
        };
        let read = decode(body.as_bytes()).expect("a review");
        prop_assert_eq!(read.token.expose(), token);
        prop_assert_eq!(read.audiences, audiences);
        prop_assert_eq!(read.api_version, version);
    }

    #[test]
    fn any_octets_are_read_or_refused(body in vec(any::<u8>(), 0..200)) {
        decode(&body).ok();
    }

    /// One octet less, or another one in its place.
    #[test]
    fn no_error_has_the_token(at in any::<prop::sample::Index>(), octet in any::<Option<u8>>()) {
        let body = r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"audiences":["a"],"token":"canary-canary"}}"#;
        let mut body = body.as_bytes().to_vec();
        let at = at.index(body.len());
        body.splice(at..=at, octet);
        if let Err(error) = decode(&body) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn any_decision_is_written(decision in decision(), version in api_version()) {
        let answer: Value = serde_json::from_slice(&encode(version, &decision)).expect("JSON");
        prop_assert_eq!(&answer["kind"], "TokenReview");
        prop_assert_eq!(&answer["apiVersion"], version.as_str());
        let status = &answer["status"];
        let good = matches!(decision, Decision::Authenticated { .. });
        prop_assert_eq!(&status["authenticated"], &good);
        prop_assert_eq!(status["error"].is_null(), good || decision == Decision::Refused);
        match decision {
            Decision::Authenticated { user, audiences } => {
                let found = &status["user"];
                prop_assert_eq!(text(&found["username"]), user.username);
                prop_assert_eq!(text(&found["uid"]), user.uid);
                prop_assert_eq!(list(&found["groups"]), user.groups);
                prop_assert_eq!(list(&status["audiences"]), audiences);
                let extra = found["extra"].as_object().cloned().unwrap_or_default();
                let extra = extra.iter().map(|(key, values)| (key.clone(), list(values)));
                prop_assert_eq!(extra.collect::<std::collections::BTreeMap<_, _>>(), user.extra);
            }
            Decision::Undecided { reason } if !reason.is_empty() => {
                prop_assert_eq!(text(&status["error"]), reason);
            }
            _ => {}
        }
    }

    /// Few names, so that some are in common.
    #[test]
    fn audiences_are_those_in_common(
        known in vec("[a-d]", 0..4),
        asked in vec("[a-d]", 0..4),
    ) {
        let user = User::new("ann");
        let decision = Decision::Authenticated { user, audiences: known.clone() };
        match decision.narrowed(&asked) {
            Decision::Authenticated { audiences, .. } if known.is_empty() || asked.is_empty() => {
                prop_assert_eq!(audiences, known);
            }
            Decision::Authenticated { audiences, .. } => {
                prop_assert!(!audiences.is_empty(), "that would be all of them");
                prop_assert!(audiences.iter().all(|one| known.contains(one) && asked.contains(one)));
            }
            _ => prop_assert!(!known.iter().any(|one| asked.contains(one)) && !known.is_empty() && !asked.is_empty()),
        }
    }
}
