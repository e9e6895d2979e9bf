//! Who the apiserver takes a user for: all that the webhook said, and one group more.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use rstest::{Context, rstest};
use tokenlab_harness::SharedLab;
use tokenlab_webhook::{Decision, User};

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
