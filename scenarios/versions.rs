//! In which version of TokenReview the webhook must answer.

use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::RawAnswer;

use crate::lab::evidence::Asked;
use crate::lab::planes::v1;
use crate::support::{assert_reviewed, bare_only, lab, reviewed};

const V1: &str = "authentication.k8s.io/v1";
const V1BETA1: &str = "authentication.k8s.io/v1beta1";

/// An answer in the version of the question is read, and one that leaves out its version, its kind
/// or both: the apiserver takes what is missing for what it asked.
///
/// - Source: `apimachinery/pkg/runtime/serializer/json/json.go`, v0.37.2 (`gvkWithDefaults`)
/// - Upstream test: `TestWebhookTokenAuthenticator` (integration; its webhook leaves out the kind)
#[rstest]
#[case::v1beta1_in_v1beta1(V1BETA1, json!({ "apiVersion": V1BETA1, "kind": "TokenReview" }))]
#[case::v1beta1_without_version(V1BETA1, json!({ "kind": "TokenReview" }))]
#[case::v1beta1_without_kind(V1BETA1, json!({ "apiVersion": V1BETA1 }))]
#[case::v1beta1_with_neither(V1BETA1, json!({}))]
#[case::v1_in_v1(V1, json!({ "apiVersion": V1, "kind": "TokenReview" }))]
#[case::v1_without_version(V1, json!({ "kind": "TokenReview" }))]
#[case::v1_without_kind(V1, json!({ "apiVersion": V1 }))]
#[case::v1_with_neither(V1, json!({}))]
#[tokio::test]
async fn an_answer_is_read(#[context] context: Context, #[case] asked: &str, #[case] head: Value) {
    let lab = match asked {
        V1 => bare_only!(v1(), context),
        _ => bare_only!(lab(), context),
    };
    let token = lab.scripted().token(ann(head));

    let seen = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);

    assert_eq!(seen.calls[0].api_version.as_str(), asked);
}

/// An answer in another version than the question's is an error, and the user is unauthorized
/// although the webhook knows them. It is not remembered: the webhook is asked anew each time.
///
/// - Source: `apimachinery/pkg/conversion/converter.go`, v0.37.2 (`Convert`)
/// - Upstream test: none
/// - Seen by users: rancher/kube-api-auth#124, kubernetes/website#24349, P8
#[rstest]
#[case::v1beta1_in_v1(V1BETA1, json!({ "apiVersion": V1, "kind": "TokenReview" }))]
#[case::v1_in_v1beta1(V1, json!({ "apiVersion": V1BETA1, "kind": "TokenReview" }))]
#[case::without_the_group(V1BETA1, json!({ "apiVersion": "v1beta1", "kind": "TokenReview" }))]
#[case::of_an_unknown_version(V1BETA1, json!({ "apiVersion": "authentication.k8s.io/v2", "kind": "TokenReview" }))]
#[case::of_a_kind_in_lower_case(V1BETA1, json!({ "apiVersion": V1BETA1, "kind": "tokenreview" }))]
#[case::of_another_kind(V1BETA1, json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" }))]
#[tokio::test]
async fn an_answer_is_an_error(
    #[context] context: Context,
    #[case] asked: &str,
    #[case] head: Value,
) {
    let lab = match asked {
        V1 => bare_only!(v1(), context),
        _ => bare_only!(lab(), context),
    };
    let token = lab.scripted().token(ann(head));

    let status = reviewed(&lab, &token, &[]).await;

    assert_reviewed!(context, status.error.expect("must fail"));
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
}

/// The answer that a token is ann's, under this head.
fn ann(mut head: Value) -> RawAnswer {
    head["status"] = json!({ "authenticated": true, "user": { "username": "ann" } });
    RawAnswer::json(&head)
}
