//! Whether the apiserver made of a webhook's answer what the webhook said.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenlab_harness::Output;
use tokenlab_webhook::{ApiVersion, Token};

/// A user, as a TokenReview and a SelfSubjectReview have it; the `extra` is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Who {
    #[serde(default)]
    pub(super) username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: BTreeSet<String>,
}

/// What a token is worth to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "camelCase")]
pub(super) enum Opinion {
    /// It is this user's.
    Authenticated(Who),
    /// It is nobody's.
    Refused,
    /// No opinion that the apiserver can use, and why: to it that is an error, and to the user a
    /// refusal.
    Unusable {
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.username)?;
        if !self.uid.is_empty() {
            write!(f, ", uid {:?}", self.uid)?;
        }
        if !self.groups.is_empty() {
            let groups: Vec<_> = self
                .groups
                .iter()
                .map(|group| format!("{group:?}"))
                .collect();
            write!(f, ", groups {}", groups.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authenticated(who) => write!(f, "authenticated, user {who}"),
            Self::Refused => f.write_str("refused"),
            Self::Unusable { why } => write!(f, "no usable answer: {why}"),
        }
    }
}

/// What the apiserver adds to everybody who is somebody
/// (`apiserver/pkg/authentication/group/authenticated_group_adder.go`, v0.37.2).
const ADDED: &str = "system:authenticated";

impl Opinion {
    pub(super) fn unusable(why: String) -> Self {
        Self::Unusable { why }
    }

    /// That it is one that an apiserver can use, whatever it is.
    pub(super) fn usable(&self) -> anyhow::Result<()> {
        match self {
            Self::Authenticated(_) | Self::Refused => Ok(()),
            Self::Unusable { why } => {
                anyhow::bail!("the webhook gave no answer that an apiserver can use: {why}")
            }
        }
    }

    /// What a webhook's answer says, read as the apiserver reads it
    /// (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2).
    pub(super) fn of_webhook(status: http::StatusCode, body: &str, asked: ApiVersion) -> Self {
        if !status.is_success() {
            return Self::unusable(format!("HTTP status {status}"));
        }
        let Ok(answer) = serde_json::from_str::<Value>(body) else {
            return Self::unusable("it is not JSON".to_owned());
        };
        let version = answer["apiVersion"].as_str().unwrap_or_default();
        if version != asked.as_str() {
            return Self::unusable(format!(
                "its apiVersion is {version:?}, not that of the question, {:?}",
                asked.as_str()
            ));
        }
        let status = &answer["status"];
        if status["authenticated"].as_bool() == Some(true) {
            return match Who::deserialize(&status["user"]) {
                Ok(who) => Self::Authenticated(who),
                Err(error) => Self::unusable(format!("its user cannot be read: {error}")),
            };
        }
        match status["error"].as_str() {
            Some(error) if !error.is_empty() => Self::unusable(format!("status.error {error:?}")),
            _ => Self::Refused,
        }
    }

    /// What `kubectl auth whoami -o json` tells of the apiserver.
    pub(super) fn of_apiserver(output: &Output) -> Self {
        if output.status.success() {
            let said = serde_json::from_str::<Value>(&output.stdout);
            let said = said.map(|said| Who::deserialize(&said["status"]["userInfo"]));
            return match said {
                Ok(Ok(mut who)) => {
                    who.groups.remove(ADDED);
                    Self::Authenticated(who)
                }
                Ok(Err(error)) | Err(error) => Self::unusable(error.to_string()),
            };
        }
        if output.stderr.contains("(Unauthorized)") {
            return Self::Refused;
        }
        Self::unusable(output.stderr.trim().to_owned())
    }

    /// Whether the apiserver, which thinks this, did as the webhook said.
    pub(super) fn follows(&self, webhook: &Self) -> bool {
        match (webhook, self) {
            (Self::Authenticated(said), Self::Authenticated(done)) => {
                let mut said = said.clone();
                said.groups.remove(ADDED);
                said == *done
            }
            (Self::Refused | Self::Unusable { .. }, Self::Refused) => true,
            _ => false,
        }
    }
}

/// The answer to show: without what others repeat of the question, for the token is in it.
pub(super) fn shown(body: &str, token: &Token) -> String {
    let text = match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(mut answer)) => {
            answer.retain(|key, _| matches!(&**key, "apiVersion" | "kind" | "status"));
            Value::Object(answer).to_string()
        }
        _ => body.trim().chars().take(400).collect(),
    };
    text.replace(token.expose(), "[token]")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use rstest::rstest;

    use super::*;

    const GOPHER: &str = r#"{"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview",
        "spec":{"token":"secret"},"status":{"authenticated":true,
        "user":{"username":"gopher","uid":"1","groups":["gophers"]}}}"#;

    fn webhook(body: &str) -> Opinion {
        Opinion::of_webhook(http::StatusCode::OK, body, ApiVersion::V1Beta1)
    }

    fn kubectl(code: i32, stdout: &str, stderr: &str) -> Opinion {
        Opinion::of_apiserver(&Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        })
    }

    fn whoami(username: &str) -> Opinion {
        let groups = r#"["system:authenticated","gophers"]"#;
        let info = format!(r#"{{"username":"{username}","uid":"1","groups":{groups}}}"#);
        kubectl(0, &format!(r#"{{"status":{{"userInfo":{info}}}}}"#), "")
    }

    const UNAUTHORIZED: &str = "error: You must be logged in to the server (Unauthorized)";

    #[test]
    fn one_user_is_the_same_with_and_without_what_the_apiserver_adds() {
        let said = webhook(GOPHER);
        assert_eq!(
            said.to_string(),
            r#"authenticated, user "gopher", uid "1", groups "gophers""#
        );
        assert!(whoami("gopher").follows(&said));
        assert!(!whoami("another").follows(&said));
        assert!(!kubectl(1, "", UNAUTHORIZED).follows(&said));
    }

    #[rstest]
    #[case::refused(
        r#"{"apiVersion":"authentication.k8s.io/v1beta1","status":{}}"#,
        "refused"
    )]
    #[case::error(
        r#"{"apiVersion":"authentication.k8s.io/v1beta1","status":{"error":"no"}}"#,
        "no usable answer: status.error \"no\""
    )]
    #[case::another_version(
        r#"{"apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true}}"#,
        "no usable answer: its apiVersion is \"authentication.k8s.io/v1\", not that of the question, \"authentication.k8s.io/v1beta1\""
    )]
    #[case::nonsense("<html>", "no usable answer: it is not JSON")]
    fn what_is_not_authenticated_is_unauthorized(#[case] body: &str, #[case] said: &str) {
        let webhook = webhook(body);
        assert_eq!(webhook.to_string(), said);
        assert_eq!(webhook.usable().is_ok(), webhook == Opinion::Refused);
        assert!(kubectl(1, "", UNAUTHORIZED).follows(&webhook));
        assert!(!whoami("gopher").follows(&webhook));
        assert!(!kubectl(1, "", "connection refused").follows(&webhook));
    }

    #[test]
    fn a_status_is_looked_at_first() {
        let said = Opinion::of_webhook(http::StatusCode::UNAUTHORIZED, GOPHER, ApiVersion::V1Beta1);
        assert_eq!(
            said.to_string(),
            "no usable answer: HTTP status 401 Unauthorized"
        );
    }

    #[test]
    fn a_token_that_is_repeated_is_not_shown() {
        let token = Token::from("secret");
        assert!(!shown(GOPHER, &token).contains("secret"));
        assert_eq!(
            shown("no secret here", &token),
            "no [token] here",
            "outside of JSON too"
        );
    }
}
