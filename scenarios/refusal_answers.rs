//! Which answers are a refusal to the apiserver, which are none, and which it cannot read.

use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::SharedLab;

use crate::lab::evidence::Asked;
use crate::support::{answer, assert_reviewed, bare_only, lab, reviewed};

/// A status that does not say `authenticated: true` is a refusal, and remembered, even one that
/// says nothing. A user whom it names counts for nothing.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; the authenticator alone, no cache)
#[rstest]
#[case::saying_so(json!({ "authenticated": false }))]
#[case::of_somebody(json!({ "authenticated": false, "user": { "username": "ann" } }))]
#[case::by_no_word(json!({ "user": { "username": "ann" } }))]
#[case::by_null_for_a_word(json!({ "authenticated": null, "user": { "username": "ann" } }))]
#[case::by_an_empty_status(json!({}))]
#[case::by_null(Value::Null)]
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

/// An error beside `authenticated: true` is nothing: the user is let in, and remembered.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn no_error_keeps_out_who_is_known(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let known = json!({ "authenticated": true, "error": "nobody", "user": { "username": "ann" } });
    let token = lab.scripted().token(answer(&known));

    let first = Asked::new(&lab, lab.scripted(), &token).await;
    let second = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = first.forbidden("ann").asked(1);
    let _ = second.forbidden("ann").asked(0);
}

/// An answer whose fields have other types than a TokenReview's is an error: the apiserver logs
/// which one, the user is unauthorized, and the next request asks again.
///
/// - Source: `apimachinery/pkg/runtime/serializer/json/json.go`, `Decode`, v0.37.2
/// - Upstream test: `TestDecode` (unit; another object, and a number that is too large)
#[rstest]
#[case::a_text_for_a_word(json!({"authenticated": "true", "user": {"username": "ann"}}))]
#[case::a_name_for_a_user(json!({"authenticated": true, "user": "ann"}))]
#[case::a_text_for_groups(
    json!({"authenticated": true, "user": {"username": "ann", "groups": "dev,ops"}})
)]
#[case::a_number_for_a_uid(json!({"authenticated": true, "user": {"username": "ann", "uid": 42}}))]
#[case::a_value_for_values(
    json!({"authenticated": true, "user": {"username": "ann", "extra": {"a": "b"}}})
)]
#[case::an_audience_for_audiences(
    json!({"authenticated": true, "user": {"username": "ann"}, "audiences": "a"})
)]
#[tokio::test]
async fn an_answer_cannot_be_read_with(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] status: Value,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(answer(&status));

    let found = reviewed(&lab, &token, &[]).await;

    assert_reviewed!(context, found.error.expect("must fail"));
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
}
