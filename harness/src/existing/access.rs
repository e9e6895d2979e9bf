//! How the user's kubectl reaches the cluster, as a file of its own for each who asks.

use std::fmt;

use camino::Utf8Path;
use serde_json::{Value, json};
use tokenlab_webhook::Token;

use super::target::target;
use super::{Existing, ExistingCluster, ExistingError};
use crate::diagnosis::Shown;
use crate::kubectl::Kubectl;
use crate::tool::Tool;

/// One context of the user's kubeconfig, with what its files held: `kubectl config view --minify`
/// makes it. What is asked of the cluster by it goes there still when the user's current context is
/// another.
#[derive(Clone)]
pub(super) struct Access(Value);

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access(redacted)")
    }
}

impl Shown {
    /// What the user of a kubeconfig shows. It is read by this kubectl, which asks nobody for that.
    pub async fn of(cluster: &ExistingCluster, kubectl: &Utf8Path) -> Result<Self, ExistingError> {
        cluster.can_be_read()?;
        let kubectl = Tool::at("kubectl", kubectl.to_owned());
        let access = Access::read(&kubectl, &target(cluster)?).await?;
        Ok(access.shows())
    }
}

impl Access {
    /// Nothing is asked of the cluster for that.
    pub(super) async fn read(kubectl: &Tool, target: &[String]) -> Result<Self, ExistingError> {
        let view = ["config", "view", "--minify", "--raw", "--flatten"];
        let target = target.iter().map(String::as_str);
        let args: Vec<_> = target.chain(view).chain(["--output=json"]).collect();
        let view = kubectl.run(&args).await;
        let view = view.map_err(ExistingError::Kubeconfig)?;
        Ok(Self(
            serde_json::from_str(&view).map_err(ExistingError::Unreadable)?,
        ))
    }

    /// The context's name.
    pub(super) fn context(&self) -> Option<&str> {
        self.0["current-context"].as_str()
    }

    /// What the user shows.
    pub(super) fn shows(&self) -> Shown {
        Shown::user(self.0["users"][0]["user"].clone())
    }

    /// The kubeconfig of the user. JSON is YAML, too.
    pub(super) fn admin(&self) -> String {
        self.0.to_string()
    }

    /// The same with a token in place of what else would tell who it is: the cluster, and how it is
    /// reached and trusted, as the user has it.
    pub(super) fn user(&self, token: &Token) -> String {
        self.shown(&Shown::from(token))
    }

    /// The same with all that is shown there.
    pub(super) fn shown(&self, shown: &Shown) -> String {
        const USER: &str = "user";
        let mut view = self.0.clone();
        view["users"] = json!([{ "name": USER, "user": shown.entry() }]);
        view["contexts"][0]["context"]["user"] = USER.into();
        view.to_string()
    }
}

impl Existing {
    /// The user's kubectl, as the user of the kubeconfig. A plugin that logs in finds another home.
    pub fn kubectl(&self) -> Result<Kubectl, ExistingError> {
        self.kubectl_with("admin", &self.access.admin())
    }

    /// The same with this token, and nothing else that would tell who it is.
    pub fn kubectl_as(&self, token: &Token) -> Result<Kubectl, ExistingError> {
        self.kubectl_with("user", &self.access.user(token))
    }

    /// The same as who shows this.
    pub(crate) fn kubectl_of(&self, shown: &Shown) -> Result<Kubectl, ExistingError> {
        self.kubectl_with("doctor", &self.access.shown(shown))
    }

    fn kubectl_with(&self, name: &str, kubeconfig: &str) -> Result<Kubectl, ExistingError> {
        let program = self.kubectl.program();
        Ok(Kubectl::of_file(program, &self.folder, name, kubeconfig)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_replaces_all_that_tells_who_it_is() {
        let access = Access(json!({
            "kind": "Config",
            "clusters": [{ "name": "theirs", "cluster": { "server": "https://theirs", "proxy-url": "http://proxy" } }],
            "users": [{ "name": "me", "user": { "client-key-data": "SECRET" } }],
            "contexts": [{ "name": "c", "context": { "cluster": "theirs", "user": "me" } }],
            "current-context": "c",
        }));
        assert!(access.admin().contains("SECRET"));
        assert!(!format!("{access:?}").contains("SECRET"));
        let user = access.user(&Token::from("canary"));
        assert!(!user.contains("SECRET"), "{user}");
        let user: Value = serde_json::from_str(&user).expect("must be JSON");
        assert_eq!(user["clusters"], access.0["clusters"]);
        assert_eq!(
            user["users"],
            json!([{ "name": "user", "user": { "token": "canary" } }])
        );
        assert_eq!(
            user["contexts"][0]["context"],
            json!({ "cluster": "theirs", "user": "user" })
        );
        assert_eq!(access.context(), Some("c"));
    }
}
