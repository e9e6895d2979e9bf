//! Who is not recognised: Unauthorized, whatever the reason; and who shows no token at all.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use rstest::{Context, rstest};
use tokenlab_harness::{Identity, SharedLab, fresh_token};
use tokenlab_webhook::Decision;

use crate::support::{assert_output, assert_reviewed, bare_only, lab};

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

/// What passes is asked again within the same request, by a back-off of some five seconds; what does
/// not is asked once.
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
    let client = lab.client_as(&token).await.expect("must be made");

    let error = kube::Api::<Namespace>::all(client)
        .list(&ListParams::default())
        .await
        .expect_err("must be refused");

    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 401),
        "{error:?}"
    );
    assert_eq!(lab.scripted().calls(&token).len(), calls);
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
    let client = lab.client_as(&token).await.expect("must be made");

    let error = kube::Api::<Namespace>::all(client)
        .list(&ListParams::default())
        .await
        .expect_err("must be refused");

    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 401),
        "{error:?}"
    );
    assert_eq!(lab.scripted().calls(&token).len(), 1);
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
