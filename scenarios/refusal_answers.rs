//! Which answers are a refusal to the apiserver, which are none, and which it cannot read.

use http::StatusCode;
use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::{RawAnswer, SharedLab};

use crate::evidence::Asked;
use crate::support::{answer, assert_reviewed, bare_only, lab, reviewed};

/// What does not say `authenticated: true` is a refusal, and remembered: nothing at all too, and
/// what only a reader would take for it who does not mind the case. Whoever else is named in it is
/// not looked at.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Source: `apimachinery/pkg/runtime/serializer/json/json.go`, v0.37.2
///   (`UnmarshalCaseSensitivePreserveInts`)
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; the first two alone)
#[rstest]
#[case::saying_so(json!({ "authenticated": false }))]
#[case::of_somebody(json!({ "authenticated": false, "user": { "username": "ann" } }))]
#[case::by_no_word(json!({ "user": { "username": "ann" } }))]
#[case::by_null(json!({ "authenticated": null, "user": { "username": "ann" } }))]
#[case::by_an_empty_status(json!({}))]
#[case::by_no_status(Value::Null)]
#[case::in_capitals(json!({ "Authenticated": true, "user": { "username": "ann" } }))]
#[tokio::test]
async fn is_a_refusal(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] status: Value,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(answer(&status));

    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(0);
}

/// `authenticated: true` counts, whatever else is there: an error beside it, fields that nobody
/// knows, and, of a field that stands twice, the last.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::an_error(r#"{"authenticated": true, "error": "nobody's", "user": {"username": "ann"}}"#)]
#[case::more_fields(
    r#"{"authenticated": true, "age": 7, "user": {"username": "ann", "email": "a@b"}}"#
)]
#[case::no_before_yes(
    r#"{"authenticated": false, "user": {"username": "ann"}, "authenticated": true}"#
)]
#[tokio::test]
async fn is_let_in_with(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] status: &str,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(verbatim(status));

    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(0);
}

/// An answer whose fields have other types than a TokenReview's is an error: the apiserver logs
/// which one, the user is unauthorized, and the next request asks again.
///
/// - Source: `apimachinery/pkg/runtime/serializer/json/json.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::a_word_for_true(r#"{"authenticated": "true", "user": {"username": "ann"}}"#)]
#[case::a_name_for_a_user(r#"{"authenticated": true, "user": "ann"}"#)]
#[case::a_number_for_a_uid(r#"{"authenticated": true, "user": {"username": "ann", "uid": 42}}"#)]
#[case::a_group_for_groups(
    r#"{"authenticated": true, "user": {"username": "ann", "groups": "dev"}}"#
)]
#[case::a_value_for_values(
    r#"{"authenticated": true, "user": {"username": "ann", "extra": {"a": "b"}}}"#
)]
#[case::an_audience_for_audiences(
    r#"{"authenticated": true, "user": {"username": "ann"}, "audiences": "a"}"#
)]
#[tokio::test]
async fn an_answer_cannot_be_read_with(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] status: &str,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(verbatim(status));

    let found = reviewed(&lab, &token, &[]).await;

    assert_reviewed!(context, found.error.expect("must fail"));
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
}

/// An answer with this status, octet by octet.
fn verbatim(status: &str) -> RawAnswer {
    let review = r#""apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview""#;
    RawAnswer::new(
        StatusCode::OK,
        format!(r#"{{{review}, "status": {status}}}"#),
    )
}
