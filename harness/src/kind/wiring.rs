//! The webhook's flag in the manifest of a running kube-apiserver: set, verified, taken back.
//!
//! What can go wrong here has gone wrong for others: a backup in the manifests folder is a second
//! apiserver, a file that is not mounted keeps the first one from starting, and an old process
//! that is given 30 s to end looks like a flag that is ignored.

use std::time::Duration;

use super::node::{FOLDER, Node};
use super::static_pod::{ManifestError, StaticPod};
use crate::docker::DockerError;
use crate::kubeconfig::Kubeconfig;
use crate::lab::CONFIG_FILE_FLAG;
use crate::wait::{Poll, Probe, WaitError, until};

/// Where the kubelet finds the apiserver.
pub(super) const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
/// The file by which the apiserver reaches its webhook. kubeadm mounts this folder and
/// `/etc/ssl/certs` into the apiserver's Pod, and no other.
pub const NODE_CONFIG_FILE: &str = "/etc/kubernetes/pki/webhook-config.yml";
const CONTAINER: &str = "kube-apiserver";

/// Why the flag is not set, or not taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WiringError {
    /// A command in the node failed.
    #[error(transparent)]
    Node(#[from] DockerError),
    /// The node has no such manifest.
    #[error("the node has no `{MANIFEST}`")]
    NoManifest,
    /// The manifest cannot be edited.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The apiserver did not come back; the manifest is as it was, and the apiserver with it.
    #[error(
        "kube-apiserver did not come back with the new flag, so its manifest is as it was: {reason}"
    )]
    RolledBack {
        /// What it did instead.
        reason: String,
    },
    /// It did not come back with the old manifest either.
    #[error(
        "kube-apiserver did not come back with the new flag ({reason}), nor with its old manifest: {after}"
    )]
    NotBack {
        /// What it did with the new flag.
        reason: String,
        /// What it did after that.
        after: String,
    },
}

impl WiringError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Node(error) => error.hint(),
            Self::Manifest(error) => error.hint(),
            Self::RolledBack { reason } if reason.contains("unknown flag") => {
                Some("this version of kube-apiserver does not have that flag".to_owned())
            }
            Self::RolledBack { .. } | Self::NotBack { .. } => Some(
                "the lines above are kube-apiserver's own: it ends when the file that the flag names is missing or not a kubeconfig".to_owned(),
            ),
            Self::NoManifest => None,
        }
    }
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wired {
    /// The apiserver was started anew.
    Changed,
    /// Everything was so already.
    Already,
}

/// A manifest for another.
struct Change<'a> {
    before: &'a str,
    after: &'a str,
    /// What the flag is then.
    flag: Option<&'a str>,
    /// What the webhook's file was; `None` when there was none.
    old_file: Option<String>,
}

/// What the command line of the running apiserver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// None runs.
    Nothing,
    /// It has another value for the flag.
    Other,
    /// It has what was asked for.
    Right,
}

/// The apiserver of one node, and how it is asked whether it is ready.
#[derive(Debug)]
pub(super) struct Wiring<'a> {
    pub(super) node: &'a Node,
    pub(super) admin: &'a Kubeconfig,
    pub(super) poll: Poll,
}

impl Wiring<'_> {
    /// Writes the webhook's file into the node and sets the flag that names it.
    pub(super) async fn set(&self, config: &str) -> Result<Wired, WiringError> {
        let before = self.manifest().await?;
        let pod = StaticPod::read(&before, CONTAINER)?;
        let old_file = self.node.read(NODE_CONFIG_FILE).await?;
        let same_file = old_file.as_deref() == Some(config);
        let same_flag = pod.flag(CONFIG_FILE_FLAG)?.as_deref() == Some(NODE_CONFIG_FILE);
        if same_file && same_flag && self.runs_with(Some(NODE_CONFIG_FILE)).await? == Seen::Right {
            return Ok(Wired::Already);
        }
        let after = pod.with(CONFIG_FILE_FLAG, NODE_CONFIG_FILE)?;
        if !same_file {
            self.node.write(NODE_CONFIG_FILE, config).await?;
        }
        if self.node.read(&backup()).await?.is_none() {
            self.node.write(&backup(), &before).await?;
        }
        let change = Change {
            before: &before,
            after: &after,
            flag: Some(NODE_CONFIG_FILE),
            old_file,
        };
        self.change(change).await?;
        Ok(Wired::Changed)
    }

    /// Gives the flag the value that it had before it was set here, and removes the file. What
    /// else was changed in the manifest since stays.
    pub(super) async fn undo(&self) -> Result<Wired, WiringError> {
        let Some(backup_text) = self.node.read(&backup()).await? else {
            return Ok(Wired::Already);
        };
        let before = self.manifest().await?;
        let value = StaticPod::read(&backup_text, CONTAINER)?.flag(CONFIG_FILE_FLAG)?;
        let pod = StaticPod::read(&before, CONTAINER)?;
        let after = match &value {
            Some(value) => pod.with(CONFIG_FILE_FLAG, value)?,
            None => pod.without(CONFIG_FILE_FLAG)?,
        };
        let change = Change {
            before: &before,
            after: &after,
            flag: value.as_deref(),
            old_file: self.node.read(NODE_CONFIG_FILE).await?,
        };
        self.change(change).await?;
        if value.as_deref() != Some(NODE_CONFIG_FILE) {
            self.node.remove(NODE_CONFIG_FILE).await?;
        }
        self.node.remove(&backup()).await?;
        Ok(Wired::Changed)
    }

    async fn manifest(&self) -> Result<String, WiringError> {
        let manifest = self.node.read(MANIFEST).await?;
        manifest.ok_or(WiringError::NoManifest)
    }

    /// Puts a manifest in place and waits for the apiserver; takes everything back when that
    /// fails.
    async fn change(&self, change: Change<'_>) -> Result<(), WiringError> {
        let Change {
            before,
            after,
            flag,
            old_file,
        } = change;
        let Err(reason) = self.restart(after, flag).await? else {
            return Ok(());
        };
        let file = self.node.read(NODE_CONFIG_FILE).await?;
        match old_file {
            Some(text) if file.as_ref() != Some(&text) => {
                self.node.write(NODE_CONFIG_FILE, &text).await?;
            }
            None => self.node.remove(NODE_CONFIG_FILE).await?,
            Some(_the_same) => {}
        }
        let old = StaticPod::read(before, CONTAINER)?.flag(CONFIG_FILE_FLAG)?;
        match self.restart(before, old.as_deref()).await? {
            Ok(()) => Err(WiringError::RolledBack { reason }),
            Err(after) => Err(WiringError::NotBack { reason, after }),
        }
    }

    /// The inner result tells why it is not back.
    async fn restart(
        &self,
        manifest: &str,
        flag: Option<&str>,
    ) -> Result<Result<(), String>, WiringError> {
        let now = self.node.run(&["date", "+%s%N"]).await?;
        self.node.write(MANIFEST, manifest).await?;
        self.end_old().await?;
        let began: u128 = now.trim().parse().unwrap_or_default();
        match self.back(flag, began).await {
            Ok(()) => Ok(Ok(())),
            Err(WaitError::Fatal(WiringError::RolledBack { reason })) => Ok(Err(reason)),
            Err(WaitError::Fatal(error)) => Err(error),
            Err(error @ WaitError::TimedOut { .. }) => Ok(Err(format!(
                "{error}\n{}",
                self.log_tail("").await.unwrap_or_default()
            ))),
        }
    }

    /// Ends the running container at once: the kubelet would give it 30 s.
    async fn end_old(&self) -> Result<(), WiringError> {
        const END: &str = r#"for id in $(crictl ps --quiet --state running --name "^$1\$"); do
            crictl stop --timeout 0 "$id" >/dev/null; done"#;
        self.node.run(&["sh", "-c", END, "sh", CONTAINER]).await?;
        Ok(())
    }

    /// Waits until the apiserver runs with the flag and is ready; gives up when one that was
    /// started since has ended.
    async fn back(&self, flag: Option<&str>, began: u128) -> Result<(), WaitError<WiringError>> {
        let client = self.admin.client().await.ok();
        let look = async || {
            match self.runs_with(flag).await {
                Ok(Seen::Right) => {}
                Ok(seen) => return self.not_yet(seen, began).await,
                Err(error) => return Probe::Fatal(error),
            }
            let Some(client) = &client else {
                return Probe::Ready(());
            };
            let request = http::Request::get("/readyz").body(Vec::new());
            match client.request_text(request.unwrap_or_default()).await {
                Ok(_) => Probe::Ready(()),
                Err(error) => Probe::NotYet(format!("/readyz: {error}").into()),
            }
        };
        until("kube-apiserver is back", self.poll, look).await
    }

    async fn not_yet(&self, seen: Seen, began: u128) -> Probe<(), WiringError> {
        let looked = async {
            if seen == Seen::Other {
                // The kubelet had not yet seen the manifest, and started the old one once more.
                self.end_old().await?;
            }
            self.ended_since(began).await
        };
        match looked.await {
            Ok(Some(reason)) => Probe::Fatal(WiringError::RolledBack { reason }),
            Ok(None) => Probe::NotYet("no process has the flag".into()),
            Err(error) => Probe::Fatal(error),
        }
    }

    /// What runs, and whether it has this flag, or none.
    async fn runs_with(&self, flag: Option<&str>) -> Result<Seen, WiringError> {
        const COMMAND_LINES: &str = r#"for pid in $(pgrep -x "$1"); do
            tr '\0' '\n' <"/proc/$pid/cmdline"; done 2>/dev/null || :"#;
        let args = ["sh", "-c", COMMAND_LINES, "sh", CONTAINER];
        let words = self.node.run(&args).await?;
        let prefix = format!("--{CONFIG_FILE_FLAG}=");
        let has = words.lines().find_map(|word| word.strip_prefix(&prefix));
        Ok(if words.is_empty() {
            Seen::Nothing
        } else if has == flag {
            Seen::Right
        } else {
            Seen::Other
        })
    }

    /// Why a container that was started since has ended; `None` when none has.
    async fn ended_since(&self, began: u128) -> Result<Option<String>, WiringError> {
        let args = [
            "crictl",
            "ps",
            "--all",
            "--state",
            "exited",
            "--name",
            "^kube-apiserver$",
            "--output",
            "json",
        ];
        let containers = self.node.run(&args).await?;
        let Some(id) = exited(&containers, began) else {
            return Ok(None);
        };
        let tail = self.log_tail(&id).await?;
        // The old one's port is free in a moment: the kubelet starts it once more.
        if tail.contains("address already in use") {
            return Ok(None);
        }
        Ok(Some(format!("it ended again; the end of its log:\n{tail}")))
    }

    async fn log_tail(&self, id: &str) -> Result<String, WiringError> {
        const TAIL: &str = r#"id=${1:-$(crictl ps --all --latest --quiet --name '^kube-apiserver$')}
            crictl logs --tail 6 "$id" 2>&1 | cut -c 1-400"#;
        let tail = self.node.run(&["sh", "-c", TAIL, "sh", id]).await?;
        let lines = tail.trim_end().lines().map(|line| format!("  {line}"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn backup() -> String {
    format!("{FOLDER}/kube-apiserver.yaml.before")
}

/// The newest container that was made after this moment, in nanoseconds since 1970.
fn exited(containers: &str, began: u128) -> Option<String> {
    let list: serde_json::Value = serde_json::from_str(containers).ok()?;
    let containers = list["containers"].as_array()?.iter();
    let since = containers.filter_map(|container| {
        let made: u128 = container["createdAt"].as_str()?.parse().ok()?;
        (made > began).then(|| (made, container["id"].as_str().unwrap_or_default()))
    });
    since.max().map(|(_, id)| id.to_owned())
}

/// How often a restarting apiserver is looked at, and for how long.
pub(super) const POLL: Poll = Poll {
    every: Duration::from_millis(100),
    within: Duration::from_secs(90),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_container_of_this_time_counts() {
        let list = r#"{"containers": [
            {"id": "old", "createdAt": "1000000000000000000"},
            {"id": "new", "createdAt": "3000000000000000000"},
            {"id": "newest", "createdAt": "3000000000000000001"}]}"#;
        let since = |began| exited(list, began);
        assert_eq!(since(2_000_000_000_000_000_000).as_deref(), Some("newest"));
        assert_eq!(since(4_000_000_000_000_000_000), None);
        assert_eq!(exited(r#"{"containers": []}"#, 0), None);
    }
}
