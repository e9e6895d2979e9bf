//! What a recognised user may do is RBAC's to say, by the name and the groups that the webhook told.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use rstest::{Context, rstest};
use tokenlab_harness::{Probe, SharedLab, fresh_token, until};
use tokenlab_webhook::{Decision, User};

use crate::support::{SOON, assert_output, bare_only, lab};

/// A role bound to a group that the webhook named lets its members in, as soon as the authorizer
/// hears of it.
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
    let group = name_of_ones_own();
    let ann = User::new("ann").with_group(&group);
    let token = lab.scripted().token(Decision::authenticated(ann));
    let kubectl = lab.kubectl_as(&token).expect("must be made");
    let get = ["get", "ns", "--field-selector", "metadata.name=default"];
    let get = get.iter().chain(&["--output", "name"]);
    let before = kubectl.run(get.clone()).await.expect("must run");
    assert!(before.stderr.contains("(Forbidden)"), "{before}");

    Right::given_to(&lab, "Group", &group).await;

    let output = until("ann is let in", SOON, async || {
        match kubectl.run(get.clone()).await {
            Ok(output) if output.status.success() => Probe::Ready(output),
            Ok(output) => Probe::NotYet(output.to_string().into()),
            Err(error) => Probe::Fatal(error),
        }
    });
    assert_output!(context, output.await.expect("must be let in"));
}

/// Rights come and go with a binding, 403 → 200 → 403, and the webhook is asked for none of that:
/// who somebody is stays in the cache, what they may do is looked up in each request.
///
/// - Source: `kubernetes/plugin/pkg/auth/authorizer/rbac/rbac.go`, v1.37.2
/// - Upstream test: `TestRBAC` (integration; users of a token file, no webhook)
#[rstest]
#[case::of_the_user("User")]
#[case::of_the_group("Group")]
#[tokio::test]
async fn rights_come_and_go_with_a_binding(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] kind: &str,
) {
    let lab = bare_only!(lab, context);
    let name = name_of_ones_own();
    let somebody = User::new(&name).with_group(&name);
    let token = lab.scripted().token(Decision::authenticated(somebody));
    let client = lab.client_as(&token).await.expect("must be made");
    assert_eq!(lists_namespaces(&client).await, 403);

    let right = Right::given_to(&lab, kind, &name).await;
    until_answered(&client, 200).await;
    right.take_back().await;
    until_answered(&client, 403).await;

    assert_eq!(lab.scripted().calls(&token).len(), 1);
}

/// Each of a user's groups counts, the last of a thousand as the first.
///
/// - Source: `kubernetes/pkg/registry/rbac/validation/rule.go`, v1.37.2 (`appliesToUser`)
/// - Upstream test: `TestAppliesTo` (unit; the subjects of a binding)
#[rstest]
#[tokio::test]
async fn the_thousandth_group_counts(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let last = name_of_ones_own();
    let groups = (1..1000).map(|number| format!("{last}-{number}"));
    let ann = User::new("ann").with_groups(groups).with_group(&last);
    let token = lab.scripted().token(Decision::authenticated(ann));
    let client = lab.client_as(&token).await.expect("must be made");
    assert_eq!(lists_namespaces(&client).await, 403);

    let right = Right::given_to(&lab, "Group", &last).await;

    until_answered(&client, 200).await;
    right.take_back().await;
}

/// A name is one user, whoever vouches for it: the webhook's names get no prefix, so a right that
/// was given to somebody with a certificate is that of whom the webhook calls the same.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, v1.37.2 (names as they come)
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_name_is_one_user_by_certificate_and_by_token(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let name = name_of_ones_own();
    let right = Right::given_to(&lab, "User", &name).await;
    let holder = lab.control_plane().certificate_user(&name, &[]);
    let holder = tokenlab_harness::client(&holder.expect("must be made")).await;
    until_answered(&holder.expect("must be made"), 200).await;

    let namesake = lab
        .scripted()
        .token(Decision::authenticated(User::new(&name)));

    let namesake = lab.client_as(&namesake).await.expect("must be made");
    assert_eq!(lists_namespaces(&namesake).await, 200);
    right.take_back().await;
}

/// A user or group that no other scenario has.
fn name_of_ones_own() -> String {
    fresh_token().expose().replace("lab-", "somebody-")
}

/// With which status the apiserver answers to who lists the namespaces.
async fn lists_namespaces(client: &kube::Client) -> u16 {
    let namespaces = kube::Api::<Namespace>::all(client.clone());
    match namespaces.list(&ListParams::default()).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("the apiserver must answer: {error:?}"),
    }
}

/// The authorizer hears of bindings through a watch: it takes a moment.
async fn until_answered(client: &kube::Client, status: u16) {
    let answered = until(
        "the right is known",
        SOON,
        async || match lists_namespaces(client).await {
            answer if answer == status => Probe::Ready(()),
            answer => Probe::<_, kube::Error>::NotYet(answer.to_string().into()),
        },
    );
    answered.await.expect("must be known");
}

/// The right to list namespaces, by a role of its own: the built-in `view` is filled by a controller
/// that a bare control plane does not have.
struct Right {
    admin: kube::Client,
    name: String,
}

impl Right {
    async fn given_to(lab: &SharedLab, kind: &str, name: &str) -> Self {
        let right = Self {
            admin: lab.client().await.expect("must be made"),
            name: format!("{name}-lists-namespaces"),
        };
        let metadata = ObjectMeta {
            name: Some(right.name.clone()),
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
        let group = "rbac.authorization.k8s.io";
        let binding = ClusterRoleBinding {
            role_ref: RoleRef {
                api_group: Some(group.to_owned()),
                kind: "ClusterRole".to_owned(),
                name: right.name.clone(),
            },
            subjects: Some(vec![Subject {
                api_group: Some(group.to_owned()),
                kind: kind.to_owned(),
                name: name.to_owned(),
                namespace: None,
            }]),
            metadata,
        };
        let post = PostParams::default();
        let roles = kube::Api::all(right.admin.clone());
        roles.create(&post, &role).await.expect("the admin may");
        let bindings = kube::Api::all(right.admin.clone());
        let bound = bindings.create(&post, &binding).await;
        bound.expect("the admin may");
        right
    }

    async fn take_back(self) {
        let bindings = kube::Api::<ClusterRoleBinding>::all(self.admin);
        let delete = DeleteParams::default();
        let deleted = bindings.delete(&self.name, &delete).await;
        deleted.expect("the admin may");
    }
}
