//! Who is not recognised: Unauthorized, whatever the reason; and who shows no token at all.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use rstest::{Context, rstest};
use tokenlab_harness::{Identity, SharedLab, fresh_token};
use tokenlab_webhook::Decision;

use crate::support::{assert_output, assert_reviewed, bare_only, lab};

/// To the user a refusal and a webhook that cannot tell look alike.
#[rstest]
#[case::by_the_webhook(Decision::Refused)]
#[case::as_the_webhook_cannot_tell(Decision::Undecided { reason: "the directory is away".to_owned() })]
#[tokio::test]
async fn unauthorized(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] decision: Decision,
) {
    let lab = bare_only!(lab, "refusal::unauthorized");
    let token = lab.scripted().token(decision.clone());

    let kubectl = lab.kubectl_as(&token).expect("must be made");
    let output = kubectl.run(["get", "ns"]).await.expect("must run");

    assert_output!(context, output);
    let calls = lab.scripted().calls(&token);
    assert!(!calls.is_empty(), "the webhook must have been asked");
    assert!(calls.iter().all(|call| call.decision == decision));
}

/// What passes is asked again within the same request, by a back-off of some five seconds; what does
/// not is asked once.
#[rstest]
#[case::refused(Decision::Refused, 1)]
#[case::undecided(Decision::Undecided { reason: "two users have that name".to_owned() }, 1)]
#[case::unavailable(Decision::Unavailable { reason: "the directory is away".to_owned() }, 1)]
#[case::overloaded(Decision::Overloaded { reason: "too many reviews".to_owned() }, 5)]
#[tokio::test]
async fn one_request_asks_so_often(
    #[future] lab: SharedLab,
    #[case] decision: Decision,
    #[case] calls: usize,
) {
    let lab = bare_only!(lab, "refusal::one_request_asks_so_often");
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

/// A token that nobody scripted is refused like any other.
#[rstest]
#[tokio::test]
async fn a_token_that_nobody_knows_is_unauthorized(#[future] lab: SharedLab) {
    let lab = bare_only!(lab, "refusal::a_token_that_nobody_knows_is_unauthorized");
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
#[rstest]
#[tokio::test]
async fn without_a_token_one_is_anonymous(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, "refusal::without_a_token_one_is_anonymous");
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
