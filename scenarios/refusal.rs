//! Who is not recognised: Unauthorized, whatever the reason; and who shows no token at all.

use http::StatusCode;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::{Identity, RawAnswer, SharedLab, fresh_token};
use tokenlab_webhook::Decision;

use crate::lab::evidence::Asked;
use crate::lab::serial::serial;
use crate::support::{answer, assert_output, assert_reviewed, bare_only, lab};

/// To the user a refusal and a webhook that cannot tell look alike.
///
/// - Source: `apiserver/pkg/endpoints/filters/authentication.go`, v0.37.2
/// - Upstream test: `TestAuthenticateRequestFailed`, `TestAuthenticateRequestError` (unit; one
///   filter, no webhook)
/// - Seen by users: kubernetes/minikube#2201, P7
#[rstest]
#[case::by_the_webhook(Decision::Refused)]
#[case::as_the_webhook_cannot_tell(Decision::Undecided { reason: "the directory is away".to_owned() })]
#[tokio::test]
async fn unauthorized(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] decision: Decision,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(decision.clone());

    let kubectl = lab.kubectl_as(&token).expect("must be made");
    let output = kubectl.run(["get", "ns"]).await.expect("must run");

    assert_output!(context, output);
    let calls = lab.scripted().calls(&token);
    assert!(!calls.is_empty(), "the webhook must have been asked");
    assert!(calls.iter().all(|call| call.act == decision.clone().into()));
}

/// Of what the product's webhook can say of a token one thing alone is asked about again within a
/// request: that it is overloaded, which is a 429. That it is unavailable, a 503, is not.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, v0.37.2 (`DefaultShouldRetry`)
/// - Upstream test: `TestV1WebhookCacheAndRetry` (unit; 500, 404 and 429, with a back-off of 5 ms)
#[rstest]
#[case::refused(Decision::Refused, 1)]
#[case::undecided(Decision::Undecided { reason: "two users have that name".to_owned() }, 1)]
#[case::unavailable(Decision::Unavailable { reason: "the directory is away".to_owned() }, 1)]
#[case::overloaded(Decision::Overloaded { reason: "too many reviews".to_owned() }, 5)]
#[tokio::test]
async fn one_request_asks_so_often(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] decision: Decision,
    #[case] calls: usize,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(decision);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.unauthorized().asked(calls);
}

/// A token that nobody knows is sent to the webhook, and refused by it.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, v1.37.2
/// - Upstream test: `TestUnknownUserIsUnauthorized` (integration; a token file, no webhook)
/// - Seen by users: kubernetes/kubernetes#65874
#[rstest]
#[tokio::test]
async fn a_token_that_nobody_knows_is_unauthorized(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let token = fresh_token();

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.unauthorized().asked(1);
}

/// The apiserver logs each request that it does not know the user of, and never the token: neither
/// that of who was refused, nor that of a call that failed.
///
/// - Source: `apiserver/pkg/endpoints/filters/authentication.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::was_refused(answer(&json!({ "authenticated": false })))]
#[case::met_an_error(answer(&json!({ "error": "the directory is away" })))]
#[case::met_no_review(RawAnswer::new(StatusCode::OK, "<html>"))]
#[case::met_a_failure(RawAnswer::new(StatusCode::FORBIDDEN, "no"))]
#[tokio::test]
async fn the_log_keeps_the_token_of_who(#[context] context: Context, #[case] answer: RawAnswer) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(answer);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.unauthorized().asked(1);
    assert_eq!(seen.causes().len(), 1, "it must be logged: {seen}");
    assert!(!seen.log.contains(token.expose()), "the token must not be");
}

/// Without a token nobody is asked: the user is `system:anonymous`, who is forbidden, not
/// unauthorized.
///
/// - Source: `apiserver/pkg/authentication/request/anonymous/anonymous.go`, v0.37.2
/// - Upstream test: `TestAnonymous` (unit; one authenticator)
#[rstest]
#[tokio::test]
async fn without_a_token_one_is_anonymous(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let nobody = lab.control_plane().user("nobody", Identity::Anonymous);
    let client = tokenlab_harness::client(&nobody)
        .await
        .expect("must be made");

    let error = kube::Api::<Namespace>::all(client)
        .list(&ListParams::default())
        .await
        .expect_err("must be refused");

    let kube::Error::Api(status) = error else {
        panic!("the apiserver must have answered: {error:?}");
    };
    assert_reviewed!(context, format!("{} {}", status.code, status.message));
}
