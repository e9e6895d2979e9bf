//! What a recognised user may do is RBAC's to say, by the groups that the webhook named.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use kube::api::{ObjectMeta, PostParams};
use rstest::{Context, rstest};
use tokenlab_harness::{Poll, Probe, SharedLab, fresh_token, until};
use tokenlab_webhook::{Decision, User};

use crate::support::{assert_output, bare_only, lab};

/// A role bound to a group that the webhook named lets its members in, as soon as the authorizer
/// hears of it, and with no new review.
///
/// - Source: `kubernetes/plugin/pkg/auth/authorizer/rbac/rbac.go`, v1.37.2
/// - Upstream test: `TestRBAC` (integration; users of a token file, no webhook)
#[rstest]
#[tokio::test]
async fn a_role_for_a_group_lets_its_members_in(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    // A group of this test's own: `mock` and `group-mock` belong to all scenarios.
    let group = fresh_token().expose().replace("lab-", "group-");
    let ann = User::new("ann").with_group(&group);
    let token = lab.scripted().token(Decision::authenticated(ann));
    let kubectl = lab.kubectl_as(&token).expect("must be made");
    let get = ["get", "ns", "--field-selector", "metadata.name=default"];
    let get = get.iter().chain(&["--output", "name"]);
    let before = kubectl.run(get.clone()).await.expect("must run");
    assert!(before.stderr.contains("(Forbidden)"), "{before}");

    let_list_namespaces(&lab, &group).await;

    // The authorizer hears of the binding through a watch.
    let poll = Poll {
        every: Duration::from_millis(50),
        within: Duration::from_secs(30),
    };
    let output = until("ann is let in", poll, async || {
        match kubectl.run(get.clone()).await {
            Ok(output) if output.status.success() => Probe::Ready(output),
            Ok(output) => Probe::NotYet(output.to_string().into()),
            Err(error) => Probe::Fatal(error),
        }
    });
    assert_output!(context, output.await.expect("must be let in"));
}

/// A role of our own: the built-in `view` is filled by a controller that a bare control plane
/// does not have.
async fn let_list_namespaces(lab: &SharedLab, group: &str) {
    let admin = lab.client().await.expect("must be made");
    let metadata = ObjectMeta {
        name: Some(format!("{group}-lists-namespaces")),
        ..ObjectMeta::default()
    };
    let role = ClusterRole {
        metadata: metadata.clone(),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["namespaces".to_owned()]),
            verbs: vec!["list".to_owned()],
            ..PolicyRule::default()
        }]),
        ..ClusterRole::default()
    };
    let binding = ClusterRoleBinding {
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: metadata.name.clone().expect("must have a name"),
        },
        subjects: Some(vec![Subject {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Group".to_owned(),
            name: group.to_owned(),
            namespace: None,
        }]),
        metadata,
    };
    let post = PostParams::default();
    let roles = kube::Api::all(admin.clone());
    roles.create(&post, &role).await.expect("the admin may");
    let bindings = kube::Api::all(admin);
    bindings
        .create(&post, &binding)
        .await
        .expect("the admin may");
}
