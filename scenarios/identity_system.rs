//! What the names that Kubernetes keeps for itself do, when a webhook tells them: whatever they do.
//!
//! The apiserver trusts its webhook in all. (The product's router lets no `system:` name through
//! unless it is told to; the lab's is.)

use k8s_openapi::api::core::v1::{Namespace, Node, Secret};
use kube::api::{ListParams, PostParams};
use rstest::{Context, rstest};
use tokenlab_harness::SharedLab;
use tokenlab_webhook::{Decision, User};

use crate::support::{bare_only, lab, reviewed};

/// A webhook that names the group `system:masters` makes an admin, whom no role needs to let in and
/// none can keep out.
///
/// - Source: `apiserver/pkg/authorization/authorizerfactory/builtin.go`, v0.37.2
///   (`NewPrivilegedGroups`)
/// - Upstream test: `TestPrivilegedGroupAuthorizer` (unit; the authorizer alone)
#[rstest]
#[tokio::test]
async fn a_master_may_everything(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let ann = User::new("ann").with_group("system:masters");
    let token = lab.scripted().token(Decision::authenticated(ann));
    let client = lab.client_as(&token).await.expect("must be made");

    let secrets = kube::Api::<Secret>::all(client.clone());
    let made = Namespace {
        metadata: kube::api::ObjectMeta {
            generate_name: Some("of-a-master-".to_owned()),
            ..Default::default()
        },
        ..Namespace::default()
    };

    let read = secrets.list(&ListParams::default()).await;
    read.expect("a master may read secrets");
    let namespaces = kube::Api::<Namespace>::all(client);
    let made = namespaces.create(&PostParams::default(), &made).await;
    made.expect("a master may make namespaces");
}

/// A webhook that tells the name of a component of Kubernetes gives the rights of that component.
///
/// - Source: `kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`, v1.37.2
/// - Upstream test: none
#[rstest]
#[case::the_scheduler(User::new("system:kube-scheduler"))]
#[case::the_controller_manager(User::new("system:kube-controller-manager"))]
#[tokio::test]
async fn a_component_is_who_is_called_so(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] user: User,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(Decision::authenticated(user));
    let client = lab.client_as(&token).await.expect("must be made");

    let nodes = kube::Api::<Node>::all(client);

    let read = nodes.list(&ListParams::default()).await;
    read.expect("the component may read nodes");
}

/// `system:authenticated` is added once, and not to somebody whom the webhook calls unauthenticated
/// or anonymous: such a user has the groups that the webhook named, and no other.
///
/// - Source: `apiserver/pkg/authentication/group/authenticated_group_adder.go`, v0.37.2
/// - Upstream test: `TestAuthenticatedGroupAdder` (unit; one authenticator)
#[rstest]
#[case::is_in_it(User::new("ann").with_groups(["system:authenticated", "dev"]))]
#[case::is_unauthenticated(User::new("ann").with_groups(["system:unauthenticated"]))]
#[case::is_anonymous(User::new("system:anonymous").with_groups(["dev"]))]
#[tokio::test]
async fn no_group_is_added_to_who(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] user: User,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(Decision::authenticated(user.clone()));

    let known = reviewed(&lab, &token, &[]).await;

    let known = known.user.expect("must be known");
    assert_eq!(known.username, Some(user.username));
    assert_eq!(known.groups, Some(user.groups));
}
