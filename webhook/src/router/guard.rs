//! Users that no webhook may name.

use crate::{Decision, User};

/// A decision as it is; an error in its place when it names nobody, or what is Kubernetes' own.
pub(super) fn checked(decision: Decision, allow_reserved: bool) -> Decision {
    let Decision::Authenticated { user, .. } = &decision else {
        return decision;
    };
    let fault = if user.username.is_empty() {
        Some("the authenticator named a user without a name".to_owned())
    } else if allow_reserved {
        None
    } else {
        reserved(user)
    };
    fault.map_or(decision, |reason| Decision::Undecided { reason })
}

/// RBAC binds `system:` names to rights of their own. Extra keys under `kubernetes.io` and `k8s.io`
/// are Kubernetes' own (`apiserver/pkg/apis/apiserver/validation/validation.go`, v0.37.2): one says
/// for example which node a service account's Pod runs on.
fn reserved(user: &User) -> Option<String> {
    let system = |name: &&String| name.starts_with("system:");
    if let Some(name) = Some(&user.username).filter(system) {
        return Some(format!(
            "the authenticator named the reserved user {name:?}"
        ));
    }
    if let Some(group) = user.groups.iter().find(system) {
        return Some(format!(
            "the authenticator named the reserved group {group:?}"
        ));
    }
    let key = user.extra.keys().find(|key| is_kubernetes(key))?;
    Some(format!(
        "the authenticator named the reserved extra key {key:?}"
    ))
}

fn is_kubernetes(key: &str) -> bool {
    let domain = key.split('/').next().unwrap_or_default();
    ["kubernetes.io", "k8s.io"].into_iter().any(|reserved| {
        let sub = domain.strip_suffix(reserved);
        sub.is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::admin(User::new("system:admin"))]
    #[case::node(User::new("system:node:n1"))]
    #[case::masters(User::new("ann").with_groups(["a", "system:masters"]))]
    #[case::pods_node(User::new("ann").with_extra("authentication.kubernetes.io/node-name", ["n"]))]
    #[case::bare_domain(User::new("ann").with_extra("k8s.io/x", ["n"]))]
    fn kubernetes_own(#[case] user: User) {
        let decision = Decision::authenticated(user);
        let Decision::Undecided { reason } = checked(decision.clone(), false) else {
            panic!("it must not pass");
        };
        assert!(reason.contains("reserved"), "{reason}");
        assert_eq!(checked(decision.clone(), true), decision);
    }

    #[rstest]
    #[case::name(User::new("systems:ann"))]
    #[case::not_first(User::new("my:system:ann").with_group("my-system:masters"))]
    #[case::other_domain(User::new("ann").with_extra("notk8s.io/kubernetes.io", ["x"]))]
    fn everybody_elses(#[case] user: User) {
        let decision = Decision::authenticated(user);
        assert_eq!(checked(decision.clone(), false), decision);
    }

    #[rstest]
    fn nobody(#[values(false, true)] allow_reserved: bool) {
        let decision = checked(Decision::authenticated(User::new("")), allow_reserved);
        assert!(
            matches!(decision, Decision::Undecided { .. }),
            "{decision:?}"
        );
    }
}
