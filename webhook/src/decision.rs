//! What an authenticator makes of a token.

use std::collections::BTreeMap;

/// Who a token belongs to: the `UserInfo` of `authentication.k8s.io`
/// (`k8s.io/api/authentication/v1/types.go`, v0.37.2). Empty fields are left out of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The name that RBAC and the audit log know the user by.
    pub username: String,
    /// What tells apart two users who had one name at different times. Empty by default.
    pub uid: String,
    /// The groups; the apiserver adds `system:authenticated`. Empty by default.
    pub groups: Vec<String>,
    /// What else is known of the user. Keys are lower case, under a domain of their own
    /// (`example.org/team`), and values are no secrets: authorizers, admission webhooks and the
    /// audit log see them. Empty by default.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of that name, without uid, groups and extra.
    #[must_use]
    pub fn new(username: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            ..Self::default()
        }
    }

    /// The same user with this uid.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = uid.into();
        self
    }

    /// The same user in one more group.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// The same user in these groups as well.
    #[must_use]
    pub fn with_groups<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        self.groups.extend(groups.into_iter().map(Into::into));
        self
    }

    /// The same user with these values added under `key`.
    #[must_use]
    pub fn with_extra<V: Into<String>>(
        mut self,
        key: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let all = self.extra.entry(key.into()).or_default();
        all.extend(values.into_iter().map(Into::into));
        self
    }

    /// What of the user is Kubernetes' own, such as `user "system:admin"`. The router lets nobody
    /// in who has it, unless it was told
    /// [`allow_reserved`](crate::RouterBuilder::allow_reserved).
    ///
    /// RBAC binds `system:` names to rights of their own. Extra keys under `kubernetes.io` and
    /// `k8s.io` are Kubernetes' own (`apiserver/pkg/apis/apiserver/validation/validation.go`,
    /// v0.37.2): one says for example which node a service account's Pod runs on.
    #[must_use]
    pub fn reserved(&self) -> Option<String> {
        let system = |name: &&String| name.starts_with("system:");
        if let Some(name) = Some(&self.username).filter(system) {
            return Some(format!("user {name:?}"));
        }
        if let Some(group) = self.groups.iter().find(system) {
            return Some(format!("group {group:?}"));
        }
        let key = self.extra.keys().find(|key| is_kubernetes(key))?;
        Some(format!("extra key {key:?}"))
    }
}

fn is_kubernetes(key: &str) -> bool {
    let domain = key.split('/').next().unwrap_or_default();
    ["kubernetes.io", "k8s.io"].into_iter().any(|reserved| {
        let sub = domain.strip_suffix(reserved);
        sub.is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    })
}

/// An authenticator's answer.
///
/// To the apiserver all but the first two are errors of the webhook: it refuses the user's request,
/// logs the reason and remembers nothing, so that the token is asked about again each time
/// (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The token is good. The apiserver remembers that for 2 minutes by default.
    Authenticated {
        /// Whose it is.
        user: User,
        /// Whom the token was made for. Empty, for an authenticator that knows no audiences: they
        /// are left out of the answer, and the apiserver takes its own. Otherwise the answer has
        /// those that the review asked for too, and is a refusal when there are none. A review
        /// that asks for none (the apiserver's always asks) gets all of them to judge.
        audiences: Vec<String>,
    },
    /// The token is not good. The apiserver remembers that too. It learns no reason: one in
    /// `status.error` would make the refusal an error, and errors are asked again every time.
    Refused,
    /// Whether it is good could not be found out: sent with 200 as `status.error`. The apiserver
    /// does not retry.
    Undecided {
        /// Why not; goes into this server's log and the apiserver's, so without secrets.
        reason: String,
    },
    /// What the authenticator needs is not there now: sent as 503. The apiserver does not retry.
    Unavailable {
        /// What is missing; goes into this server's log and the apiserver's, so without secrets.
        reason: String,
    },
    /// There is too much to do: sent as 429. The apiserver asks up to five times within five
    /// seconds, so it must be cheap to say.
    Overloaded {
        /// Of what; goes into this server's log and the apiserver's, so without secrets.
        reason: String,
    },
}

impl Decision {
    /// The token is `user`'s, and nothing is known of audiences.
    #[must_use]
    pub fn authenticated(user: User) -> Self {
        Self::Authenticated {
            user,
            audiences: Vec::new(),
        }
    }

    /// The decision that answers a review for these audiences; see
    /// [`Decision::Authenticated::audiences`]. [`router`](crate::router()) applies it, what
    /// answers by other ways should too.
    #[must_use]
    pub fn narrowed(self, asked: &[String]) -> Self {
        match self {
            Self::Authenticated {
                user,
                mut audiences,
            } if !audiences.is_empty() && !asked.is_empty() => {
                audiences.retain(|audience| asked.contains(audience));
                if audiences.is_empty() {
                    Self::Refused
                } else {
                    Self::Authenticated { user, audiences }
                }
            }
            other => other,
        }
    }

    /// Why it was not decided.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Undecided { reason }
            | Self::Unavailable { reason }
            | Self::Overloaded { reason } => Some(reason),
            Self::Authenticated { .. } | Self::Refused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::authenticator_knows_none(&[], &["a"], Some(&[] as &[&str]))]
    #[case::review_asks_none(&["a"], &[], Some(&["a"] as &[&str]))]
    #[case::some_in_common(&["a", "b"], &["b", "c"], Some(&["b"] as &[&str]))]
    #[case::none_in_common(&["a"], &["b"], None)]
    fn audiences(
        #[case] known: &[&str],
        #[case] asked: &[&str],
        #[case] answered: Option<&[&str]>,
    ) {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let asked: Vec<String> = owned(asked);
        let user = User::new("ann");
        let decision = Decision::Authenticated {
            user: user.clone(),
            audiences: owned(known),
        };
        let expected = answered.map_or(Decision::Refused, |audiences| Decision::Authenticated {
            user,
            audiences: owned(audiences),
        });
        assert_eq!(decision.narrowed(&asked), expected);
    }

    #[test]
    fn builders_add() {
        let user = User::new("ann")
            .with_uid("7")
            .with_group("a")
            .with_groups(["b", "c"])
            .with_extra("example.org/team", ["red"])
            .with_extra("example.org/team", ["blue"]);
        assert_eq!(user.uid, "7");
        assert_eq!(user.groups, ["a", "b", "c"]);
        assert_eq!(user.extra["example.org/team"], ["red", "blue"]);
    }
}
