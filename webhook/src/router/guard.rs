//! Users that no webhook may name.

use crate::Decision;

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
        let named = |what| format!("the authenticator named the reserved {what}");
        user.reserved().map(named)
    };
    fault.map_or(decision, |reason| Decision::Undecided { reason })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::User;

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
