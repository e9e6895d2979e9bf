//! A static Pod's manifest replaced, and its new process waited for.
//!
//! The old manifest is moved out first, its container killed, and the new one moved in when the
//! kubelet has forgotten the old Pod. That is what makes it quick: a changed manifest is another
//! Pod of the same name, and the kubelet, when it cannot start that yet because the old one is
//! still ending, looks again only after 10 to 15 s (`pkg/kubelet/pod_workers.go`,
//! `allowPodStart` and `backOffPeriod`).
//!
//! It forgets a Pod when it tidies up, every 2 s, and the last thing that it does then is to
//! delete the folders of Pods that are no more (`HandlePodCleanups`). So a folder of nobody, made
//! once the old Pod's is gone, shows by its end that it has tidied up since.
//!
//! In between the ended container is removed. A manifest with the same words is the same Pod, also
//! where only a file that it names has changed: beside its ended container the kubelet would not
//! start it again before 10 s, then 20, then 40 (`pkg/kubelet/kuberuntime/kuberuntime_manager.go`,
//! `doBackOff`).

use std::time::Duration;

use super::wiring::{CONTAINER, MANIFEST, WiringError};
use crate::control_plane::answers;
use crate::docker::DockerError;
use crate::kubeconfig::{self, Kubeconfig};
use crate::lab::CONFIG_FILE_FLAG;
use crate::node::{FOLDER, Node};
use crate::wait::{Poll, Probe, WaitError, until};

/// With more time than crictl's own 2 s, which are little where another cluster is being made.
const CRICTL: [&str; 2] = ["crictl", "--timeout=20s"];

/// How often a restarting apiserver is looked at, and for how long.
const POLL: Poll = Poll {
    every: Duration::from_millis(100),
    within: Duration::from_secs(90),
};

/// The flags that its command line shall have; `None`: does not have.
pub(super) type Flags<'a> = &'a [(String, Option<String>)];

/// What the command line of the running apiserver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// None runs.
    Nothing,
    /// It has another value for a flag.
    Other,
    /// It has what was asked for.
    Right,
}

/// The apiserver of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apiserver<'a> {
    pub(super) node: &'a Node,
    pub(super) admin: &'a Kubeconfig,
}

impl Apiserver<'_> {
    /// Starts it by another manifest. The inner result tells why it is not back.
    pub(super) async fn restart(
        &self,
        manifest: &str,
        flags: Flags<'_>,
    ) -> Result<Result<(), String>, WiringError> {
        let began = self.replace(manifest).await?;
        match self.back(flags, began).await {
            Ok(()) => Ok(Ok(())),
            Err(WaitError::Fatal(WiringError::RolledBack { reason })) => Ok(Err(reason)),
            Err(WaitError::Fatal(error)) => Err(error),
            Err(error @ WaitError::TimedOut { .. }) => Ok(Err(format!(
                "{error}\n{}",
                self.log_tail("").await.unwrap_or_default()
            ))),
        }
    }

    /// In one command, which the node runs to its end even when its caller is gone. When the
    /// kubelet does not tidy up in time, the new manifest comes in all the same.
    ///
    /// Returns the moment before that, in nanoseconds since 1970: what was made by then is of the
    /// old manifest, also where the kubelet had just started that once more.
    async fn replace(&self, manifest: &str) -> Result<u128, DockerError> {
        const REPLACE: &str = r#"
            manifest=$1 place=$2 container=$3 pod=$4 pods=/var/lib/kubelet/pods
            cri() { crictl --timeout=20s "$@"; }
            gone() {
                tries=0
                while [ -e "$1" ] && [ "$tries" -lt 200 ]; do
                    sleep 0.05
                    tries=$((tries + 1))
                done
            }
            [ ! -e "$manifest" ] || mv "$manifest" "$place.old" || exit
            for id in $(cri ps --quiet --state running --name "^$container\$"); do
                cri stop --timeout 0 "$id" >/dev/null || :
            done
            [ -z "$pod" ] || gone "$pods/$pod"
            for id in $(cri ps --all --quiet --state exited --name "^$container\$"); do
                cri rm "$id" >/dev/null || :
            done
            [ -z "$pod" ] || { mkdir "$pods/tokenlab" && gone "$pods/tokenlab"; }
            date +%s%N
            mv "$place.new" "$manifest"
        "#;
        let place = format!("{FOLDER}/kube-apiserver.yaml");
        self.node.write(&format!("{place}.new"), manifest).await?;
        let pod = self.pod().await?;
        let args = ["sh", "-c", REPLACE, "sh", MANIFEST, &place, CONTAINER, &pod];
        let now = self.node.run(&args).await?;
        // Where that cannot be told, none counts as made since.
        Ok(now.trim().parse().unwrap_or(u128::MAX))
    }

    /// The identifier of its Pod: the hash of its manifest. Empty when none runs.
    async fn pod(&self) -> Result<String, DockerError> {
        #[rustfmt::skip]
        let args = [
            "pods", "--state", "ready", "--label", "component=kube-apiserver", "--output", "json",
        ];
        let pods = self.node.run(&[&CRICTL[..], &args].concat()).await?;
        let pods: serde_json::Value = serde_json::from_str(&pods).unwrap_or_default();
        let uid = &pods["items"][0]["labels"]["io.kubernetes.pod.uid"];
        Ok(uid.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until it runs with the flags and is ready; gives up when one that was started since
    /// has ended.
    async fn back(&self, flags: Flags<'_>, began: u128) -> Result<(), WaitError<WiringError>> {
        let client = kubeconfig::client(self.admin).await.ok();
        let look = async || {
            match self.runs_with(flags).await {
                Ok(Seen::Right) => {}
                Ok(seen) => return self.not_yet(seen, began).await,
                Err(error) => return Probe::Fatal(error.into()),
            }
            let Some(client) = &client else {
                return Probe::Ready(());
            };
            match answers(client, "/readyz").await {
                Ok(()) => Probe::Ready(()),
                Err(seen) => Probe::NotYet(seen.into()),
            }
        };
        until("kube-apiserver is back", POLL, look).await
    }

    async fn not_yet(&self, seen: Seen, began: u128) -> Probe<(), WiringError> {
        match self.ended_since(began).await {
            Ok(Some(reason)) => Probe::Fatal(WiringError::RolledBack { reason }),
            Ok(None) if seen == Seen::Nothing => Probe::NotYet("it does not run".into()),
            Ok(None) => Probe::NotYet("it runs with its old command line".into()),
            Err(error) => Probe::Fatal(error.into()),
        }
    }

    /// What runs, and whether it has these flags.
    pub(super) async fn runs_with(&self, flags: Flags<'_>) -> Result<Seen, DockerError> {
        let words = command_line(self.node).await?;
        if words.is_empty() {
            return Ok(Seen::Nothing);
        }
        let right = flags.iter().all(|(name, value)| {
            let prefix = format!("--{name}=");
            let has = words.lines().find_map(|word| word.strip_prefix(&prefix));
            has == value.as_deref()
        });
        Ok(if right { Seen::Right } else { Seen::Other })
    }

    /// Why a container that was started since has ended; `None` when none has.
    async fn ended_since(&self, began: u128) -> Result<Option<String>, DockerError> {
        #[rustfmt::skip]
        let args = [
            "ps", "--all", "--state", "exited", "--name", "^kube-apiserver$", "--output", "json",
        ];
        let containers = self.node.look(&[&CRICTL[..], &args].concat(), &[]).await?;
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

    async fn log_tail(&self, id: &str) -> Result<String, DockerError> {
        const TAIL: &str = r#"cri() { crictl --timeout=20s "$@"; }
            id=${1:-$(cri ps --all --latest --quiet --name '^kube-apiserver$')}
            cri logs --tail 6 "$id" 2>&1 | cut -c 1-400"#;
        let tail = self.node.run(&["sh", "-c", TAIL, "sh", id]).await?;
        let lines = tail.trim_end().lines().map(|line| format!("  {line}"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// The words of the running apiserver's command line, a line each; empty when none runs.
pub(super) async fn command_line(node: &Node) -> Result<String, DockerError> {
    const COMMAND_LINES: &str = r#"for pid in $(pgrep -x "$1"); do
        tr '\0' '\n' <"/proc/$pid/cmdline"; done 2>/dev/null || :"#;
    let args = ["sh", "-c", COMMAND_LINES, "sh", CONTAINER];
    node.look(&args, &[]).await
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

/// The one flag that names the webhook's file.
pub(super) fn config_flag(value: Option<&str>) -> [(String, Option<String>); 1] {
    [(CONFIG_FILE_FLAG.to_owned(), value.map(str::to_owned))]
}

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
