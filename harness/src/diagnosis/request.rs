//! The request that is looked at: what it shows, and what kube-apiserver makes of it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokenlab_webhook::Token;

use crate::kubeconfig::Kubeconfig;
use crate::kubectl::{Kubectl, Output};
use crate::scripted::fresh_token;

/// What a request shows of who makes it: the `user` of a kubeconfig.
#[derive(Clone)]
pub struct Shown {
    user: Value,
    fresh: bool,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(redacted)")
    }
}

impl From<&Token> for Shown {
    /// This token, and nothing else.
    fn from(token: &Token) -> Self {
        Self {
            user: json!({ "token": token.expose() }),
            fresh: false,
        }
    }
}

impl Shown {
    /// A token that nobody has shown before: that the webhook refuses it is no fault.
    pub fn fresh() -> Self {
        Self {
            fresh: true,
            ..Self::from(&fresh_token())
        }
    }

    /// All that a kubeconfig's `user` shows, with the data inline: `token`,
    /// `client-certificate-data` and `client-key-data`.
    pub fn user(user: Value) -> Self {
        Self { user, fresh: false }
    }

    /// The token, where there is one.
    pub fn token(&self) -> Option<Token> {
        let token = self.user["token"].as_str();
        token.filter(|token| !token.is_empty()).map(Token::from)
    }

    /// Whether there is one, whatever it is: a plugin may make it.
    pub(super) fn has_a_token(&self) -> bool {
        let made = ["exec", "auth-provider", "tokenFile"];
        self.token().is_some() || made.iter().any(|key| !self.user[key].is_null())
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    pub(super) fn has_a_certificate(&self) -> bool {
        ["client-certificate", "client-certificate-data"]
            .iter()
            .any(|key| self.user[key].is_string())
    }

    /// The entry of a kubeconfig.
    pub(crate) fn entry(&self) -> Value {
        if !self.has_a_token() && !self.has_a_certificate() {
            // kubectl would ask for one. kube-apiserver looks at no user names.
            return json!({ "username": "nobody" });
        }
        self.user.clone()
    }

    /// What of it is secret.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let keys = ["token", "password", "client-key-data"];
        let secrets = keys.iter().filter_map(|key| self.user[key].as_str());
        secrets.filter(|secret| !secret.is_empty()).collect()
    }

    /// A kubeconfig of the same cluster with this user. JSON is YAML, too.
    pub(super) fn kubeconfig(&self, admin: &Kubeconfig) -> String {
        let authority = STANDARD.encode(&admin.certificate_authority);
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "lab",
                "cluster": { "server": admin.server, "certificate-authority-data": authority },
            }],
            "users": [{ "name": "user", "user": self.entry() }],
            "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "user" } }],
            "current-context": "lab",
        })
        .to_string()
    }
}

/// How a lab is told of it, over the socket that is the user's alone: the one text that it is written
/// into.
pub(crate) mod secret {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Shown;

    pub(crate) fn serialize<S: Serializer>(
        shown: &Shown,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (&shown.user, shown.fresh).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Shown, D::Error> {
        let (user, fresh) = <_>::deserialize(deserializer)?;
        Ok(Shown { user, fresh })
    }
}

/// What kube-apiserver made of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answered {
    /// It is this user's.
    User {
        /// The name; empty where the cluster does not tell.
        name: String,
        /// The uid; empty: none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        uid: String,
        /// The groups, with those that the apiserver adds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
        /// What the apiserver knows it by, when it was no webhook: `X509SHA256=…` of a client
        /// certificate, `JTI=…` of a service account's token or of OIDC's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
    },
    /// It is nobody's: 401.
    Unauthorized,
    /// Something else came.
    Other {
        /// What it was.
        said: String,
    },
    /// Nothing came.
    Nothing {
        /// Why.
        said: String,
    },
}

/// What tells how the apiserver knows a user (`apiserver/pkg/authentication/user/user.go`,
/// `CredentialIDKey`, v0.37.2).
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Longer than the apiserver waits for its webhook, which is 30 s, and for itself, 60 s.
const PATIENCE: Duration = Duration::from_secs(90);

const NO_ANSWER: &str = "no answer within";

impl Answered {
    /// Whether kube-apiserver itself gave no answer, and kubectl did ask.
    pub(super) fn is_silence(&self) -> bool {
        const SILENT: [&str; 7] = [
            "was refused",
            "connection refused",
            "connection reset by peer",
            "no route to host",
            "i/o timeout",
            "TLS handshake timeout",
            NO_ANSWER,
        ];
        let silent = |said: &str| SILENT.iter().any(|words| said.contains(words));
        match self {
            Self::Nothing { said } => {
                silent(said) || said == "Unable to connect to the server: EOF"
            }
            _ => false,
        }
    }

    /// The same with each text as it is made there.
    pub(super) fn map(&self, text: impl Fn(&str) -> String) -> Self {
        match self {
            Self::User {
                name,
                uid,
                groups,
                credential,
            } => Self::User {
                name: text(name),
                uid: text(uid),
                groups: groups.iter().map(|group| text(group)).collect(),
                credential: credential.as_deref().map(&text),
            },
            Self::Unauthorized => Self::Unauthorized,
            Self::Other { said } => Self::Other { said: text(said) },
            Self::Nothing { said } => Self::Nothing { said: text(said) },
        }
    }

    /// Asks who one is, by `kubectl auth whoami`. Where the apiserver cannot be asked that, which came
    /// with Kubernetes 1.28, or this user may not ask it, a list that it may refuse tells.
    pub(super) async fn to(kubectl: &Kubectl) -> Self {
        let ask = async {
            let output = run(kubectl, &["auth", "whoami", "--output=json"]).await?;
            let said = &output.stderr;
            let unanswered = said.contains("is not enabled in the cluster")
                // An older kubectl.
                || said.contains("unknown command")
                || said.contains("(Forbidden)") && !said.contains("User \"");
            if unanswered {
                return run(kubectl, &["get", "--raw", "/api/v1/namespaces?limit=1"]).await;
            }
            Ok(output)
        };
        match tokio::time::timeout(PATIENCE, ask).await {
            Ok(Ok(output)) => Self::of(&output),
            Ok(Err(said)) => Self::Nothing { said },
            Err(_elapsed) => Self::Nothing {
                said: format!("{NO_ANSWER} {PATIENCE:?}"),
            },
        }
    }

    fn of(output: &Output) -> Self {
        let stderr = output.stderr.trim();
        if output.status.success() {
            let said: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
            let user = &said["status"]["userInfo"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let groups = user["groups"].as_array().into_iter().flatten();
            return Self::User {
                name: text(&user["username"]),
                uid: text(&user["uid"]),
                groups: groups.map(text).collect(),
                credential: user["extra"][CREDENTIAL_ID][0].as_str().map(str::to_owned),
            };
        }
        // Who is forbidden something is somebody, `system:anonymous` too.
        if let Some((_, rest)) = stderr.split_once("(Forbidden)") {
            let name = rest.split_once("User \"");
            let name = name.and_then(|(_, rest)| rest.split_once("\" cannot"));
            return Self::User {
                name: name.map_or_else(String::new, |(name, _)| name.to_owned()),
                uid: String::new(),
                groups: Vec::new(),
                credential: None,
            };
        }
        let said = stderr.lines().last().unwrap_or_default().to_owned();
        if stderr.contains("(Unauthorized)") {
            Self::Unauthorized
        } else if stderr.contains("Error from server") {
            Self::Other { said }
        } else {
            Self::Nothing { said }
        }
    }
}

async fn run(kubectl: &Kubectl, args: &[&str]) -> Result<Output, String> {
    let output = kubectl.run(args).await;
    output.map_err(|error| crate::assets::chain(&error))
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User {
                name, uid, groups, ..
            } => {
                if name.is_empty() {
                    return f.write_str("a user who is not named");
                }
                write!(f, "user {name:?}")?;
                if !uid.is_empty() {
                    write!(f, ", uid {uid:?}")?;
                }
                if !groups.is_empty() {
                    write!(f, ", groups {}", groups.join(", "))?;
                }
                Ok(())
            }
            Self::Unauthorized => f.write_str("401 Unauthorized"),
            Self::Other { said } | Self::Nothing { said } => f.write_str(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nobody(
        "error: You must be logged in to the server (Unauthorized)",
        "401 Unauthorized"
    )]
    #[case::forbidden(
        r#"Error from server (Forbidden): namespaces is forbidden: User "ann" cannot list resource"#,
        "user \"ann\""
    )]
    #[case::nothing(
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?"
    )]
    fn what_kubectl_says_on_its_error_output(#[case] stderr: &str, #[case] text: &str) {
        let output = Output {
            status: ExitStatus::from_raw(1 << 8),
            stdout: String::new(),
            stderr: stderr.to_owned(),
        };
        assert_eq!(Answered::of(&output).to_string(), text);
    }

    #[test]
    fn a_user_shows_a_token_a_certificate_or_both() {
        let token = Shown::from(&Token::from("canary"));
        assert!(token.token().is_some() && !token.has_a_certificate());
        assert!(!format!("{token:?}").contains("canary"));
        let both = Shown::user(json!({"token": "t", "client-certificate-data": "x"}));
        assert!(both.token().is_some() && both.has_a_certificate());
        assert!(Shown::user(json!({"token": ""})).token().is_none());
    }
}
