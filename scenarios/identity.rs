//! Who the apiserver takes a user for: all that the webhook said, and one group more.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use rstest::{Context, rstest};
use semver::Version;
use tokenlab_harness::SharedLab;
use tokenlab_webhook::{Decision, User};

use crate::support::{
    MockLab, assert_output, assert_reviewed, bare_only, if_made, lab, mock_lab, skipped,
};

/// Whether the apiserver can be asked who one is.
fn can_be_asked(lab: &MockLab, scenario: &str) -> bool {
    let can = *lab.kubernetes() >= Version::new(1, 28, 0);
    if !can {
        skipped::skip(scenario, "SelfSubjectReview came with Kubernetes 1.28");
    }
    can
}

/// The apiserver's own answer to "who am I", through a client.
#[rstest]
#[tokio::test]
async fn mock_is_known_to_the_apiserver(#[future] mock_lab: MockLab, #[context] context: Context) {
    let mock_lab = if_made!(mock_lab, "identity::mock_is_known_to_the_apiserver");
    if !can_be_asked(&mock_lab, "identity::mock_is_known_to_the_apiserver") {
        return;
    }
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

/// The same as a person asks it.
#[rstest]
#[tokio::test]
async fn whoami_as_mock(#[future] mock_lab: MockLab, #[context] context: Context) {
    let mock_lab = if_made!(mock_lab, "identity::whoami_as_mock");
    if !can_be_asked(&mock_lab, "identity::whoami_as_mock") {
        return;
    }
    let token = mock_lab.token().await;

    let kubectl = mock_lab.kubectl_as(&token);
    let output = kubectl.run(["auth", "whoami"]).await.expect("must run");

    assert_output!(context, output);
}

/// And others.
#[rstest]
#[case::name_only(User::new("ann"))]
#[case::with_extra(User::new("ann")
    .with_uid("42")
    .with_groups(["dev", "ops"])
    .with_extra("example.org/team", ["red", "blue"]))]
#[tokio::test]
async fn whoami(#[future] lab: SharedLab, #[context] context: Context, #[case] user: User) {
    let lab = bare_only!(lab, "identity::whoami");
    let token = lab.scripted().token(Decision::authenticated(user));

    let kubectl = lab.kubectl_as(&token).expect("must be made");
    let output = kubectl.run(["auth", "whoami"]).await.expect("must run");

    assert_output!(context, output);
}
