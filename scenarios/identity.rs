//! Who the apiserver takes a user for: all that the webhook said, and one group more.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use kube::api::PostParams;
use rstest::{Context, rstest};
use tokenlab_harness::SharedLab;
use tokenlab_webhook::{Decision, Token, User};

use crate::lab::evidence::Asked;
use crate::lab::identities::ann;
use crate::support::{
    MockLab, assert_output, assert_reviewed, bare_only, if_made, lab, mock_lab, since,
};

/// The apiserver takes a user for what the webhook said, and puts the group
/// `system:authenticated` to it. That is its own answer to "who am I", through a client.
///
/// - Source: `kubernetes/pkg/registry/authentication/selfsubjectreview/rest.go`, v1.37.2
/// - Source: `apiserver/pkg/authentication/group/authenticated_group_adder.go`, v0.37.2
/// - Upstream test: `TestGetsSelfAttributes` (integration; no webhook)
/// - Since: 1.28
#[rstest]
#[tokio::test]
async fn mock_is_known_to_the_apiserver(#[future] mock_lab: MockLab, #[context] context: Context) {
    let mock_lab = if_made!(mock_lab, context);
    since!(mock_lab, context, 1.28);
    let token = mock_lab.token().await;
    let client = mock_lab.client_as(&token).await;

    let answer = kube::Api::<SelfSubjectReview>::all(client)
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .expect("everybody may ask who they are");

    let user = answer.status.and_then(|status| status.user_info);
    let text = serde_json::to_string_pretty(&user).expect("must serialise");
    assert_reviewed!(context, text);
}

/// A person sees the same by `kubectl auth whoami`.
///
/// - Source: `kubectl/pkg/cmd/auth/whoami.go`, v0.37.2
/// - Upstream test: `TestWhoAmIRun` (unit; a client that is made up)
/// - Since: 1.28
#[rstest]
#[tokio::test]
async fn whoami_as_mock(#[future] mock_lab: MockLab, #[context] context: Context) {
    let mock_lab = if_made!(mock_lab, context);
    since!(mock_lab, context, 1.28);
    let token = mock_lab.token().await;

    let kubectl = mock_lab.kubectl_as(&token);
    let output = kubectl.run(["auth", "whoami"]).await.expect("must run");

    assert_output!(context, output);
}

/// A name alone is enough; uid, groups and extra with several values arrive as the webhook said
/// them.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; the authenticator alone)
#[rstest]
#[case::name_only(User::new("ann"))]
#[case::with_extra(User::new("ann")
    .with_uid("42")
    .with_groups(["dev", "ops"])
    .with_extra("example.org/team", ["red", "blue"]))]
#[tokio::test]
async fn whoami(#[future] lab: SharedLab, #[context] context: Context, #[case] user: User) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(Decision::authenticated(user));

    let kubectl = lab.kubectl_as(&token).expect("must be made");
    let output = kubectl.run(["auth", "whoami"]).await.expect("must run");

    assert_output!(context, output);
}

/// What the webhook says of a user arrives as it said it: groups in their order and as often as
/// they stand there, keys and values of extra as they are written, those of Kubernetes' own domains
/// too.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; the authenticator alone)
#[rstest]
#[case::a_uid(User::new("ann").with_uid("42"))]
#[case::groups_in_order_and_twice(User::new("ann").with_groups(["ops", "dev", "ops"]))]
#[case::a_group_without_a_name(User::new("ann").with_group(""))]
#[case::several_values(User::new("ann").with_extra("example.org/team", ["red", "blue", "red"]))]
#[case::a_key_in_capitals(User::new("ann").with_extra("Team", ["red"]))]
#[case::a_key_of_kubernetes(User::new("ann").with_extra("authentication.kubernetes.io/node-name", ["n"]))]
#[tokio::test]
async fn all_that_the_webhook_says_arrives(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] user: User,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(Decision::authenticated(user.clone()));

    let known = taken_for(&lab, &token).await;

    let with_the_group = user.with_group("system:authenticated");
    assert_eq!(known, user_info(&with_the_group));
}

/// A user of the webhook may not act as somebody else: impersonation is a right of its own, which
/// the webhook does not give.
///
/// - Source: `apiserver/pkg/endpoints/filters/impersonation/impersonation.go`, v0.37.2
/// - Upstream test: `TestImpersonateIsForbidden` (integration; users of a token file, no webhook)
#[rstest]
#[case::a_user(&[("impersonate-user", "lab-admin")])]
#[case::a_group(&[("impersonate-user", "ann"), ("impersonate-group", "system:masters")])]
#[case::themselves(&[("impersonate-user", "ann")])]
#[tokio::test]
async fn nobody_may_act_as(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] headers: &[(&str, &str)],
) {
    let lab = bare_only!(lab, context);
    let ann = ann();
    let token = lab.scripted().token(ann);
    let mut list = http::Request::get("/api/v1/namespaces");
    for (name, value) in headers {
        list = list.header(*name, *value);
    }

    let list = list.body(Vec::new()).expect("is one");
    let seen = Asked::by(&lab, lab.scripted(), &token, list).await;

    let seen = seen.forbidden("ann");
    // Which right of impersonation, the versions of Kubernetes tell in other words.
    assert!(seen.message.contains("cannot impersonate"), "{seen}");
}

/// Whom the apiserver takes a token's bearer for.
async fn taken_for(lab: &SharedLab, token: &Token) -> UserInfo {
    let client = lab.client_as(token).await.expect("must be made");
    let answer = kube::Api::<SelfSubjectReview>::all(client)
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .expect("everybody may ask who they are");
    let user = answer.status.and_then(|status| status.user_info);
    user.expect("must be told")
}

/// A user as the apiserver tells of one.
fn user_info(user: &User) -> UserInfo {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    UserInfo {
        username: some(&user.username),
        uid: some(&user.uid),
        groups: Some(user.groups.clone()).filter(|groups| !groups.is_empty()),
        extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
    }
}
