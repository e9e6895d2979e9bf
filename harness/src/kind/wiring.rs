//! The manifest of a running kube-apiserver: flags set, verified, taken back.
//!
//! What can go wrong here has gone wrong for others: a backup in the manifests folder is a second
//! apiserver, a file that is not mounted keeps the first one from starting, and an old process
//! that is given 30 s to end looks like a flag that is ignored.

use super::CONFIG_IN_NODE;
use super::restart::{Apiserver, Seen, config_flag};
use super::static_pod::{ManifestError, StaticPod};
use crate::assets::chain;
use crate::backup::Backup;
use crate::cluster::{Patch, Wired};
use crate::diagnostics;
use crate::docker::DockerError;
use crate::kubeconfig::Kubeconfig;
use crate::lab::CONFIG_FILE_FLAG;
use crate::node::Node;

/// Where the kubelet finds the apiserver.
pub(super) const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
pub(super) const CONTAINER: &str = "kube-apiserver";

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
                "the lines above are kube-apiserver's own: it ends when it does not know a flag, or when a file that one names is missing or not what it should be".to_owned(),
            ),
            Self::NoManifest => None,
        }
    }
}

/// A manifest for another.
struct Change<'a> {
    before: &'a str,
    after: &'a str,
    /// What the flags are then.
    flags: &'a [(String, Option<String>)],
    /// What the webhook's file shall be; `None` leaves it.
    file: Option<&'a str>,
    /// What the webhook's file was; `None` when there was none.
    old_file: Option<String>,
}

/// The apiserver of one node, and how it is asked whether it is ready.
#[derive(Debug)]
pub(super) struct Wiring<'a> {
    pub(super) node: &'a Node,
    pub(super) admin: &'a Kubeconfig,
}

impl Wiring<'_> {
    /// Changes what is not so yet. When the apiserver does not start with it, all is as it was.
    pub(super) async fn set(&self, patch: &Patch) -> Result<Wired, WiringError> {
        let Patch { config, flags, .. } = patch;
        let before = manifest(self.node).await?;
        let after = edited(&before, patch)?;
        let old_file = self.node.read(CONFIG_IN_NODE).await?;
        let same_file = config.is_none() || *config == old_file;
        let apiserver = self.apiserver();
        if same_file && before == after && apiserver.runs_with(flags).await? == Seen::Right {
            return Ok(Wired::Already);
        }
        let mut backed_up = false;
        if config.is_some() {
            backed_up = (self.backup().keep(&before, old_file.as_deref())).await?;
        }
        let change = Change {
            before: &before,
            after: &after,
            flags,
            file: config.as_deref().filter(|_| !same_file),
            old_file,
        };
        let changed = self.change(change).await;
        // Where it is not back as it was, the backup is what a person will want.
        if matches!(changed, Err(WiringError::RolledBack { .. })) && backed_up {
            let _ = self.backup().forget().await;
        }
        changed.map(|()| Wired::Changed)
    }

    /// Gives the webhook's flag, its file and its name the state that they had before they were
    /// set here. What else was changed in the manifest since stays.
    pub(super) async fn undo(&self, server_name: &str) -> Result<Wired, WiringError> {
        let Some(backup) = self.backup().flags().await? else {
            return Ok(Wired::Already);
        };
        let backup_file = self.backup().webhook().await?;
        let before = manifest(self.node).await?;
        let backup = StaticPod::read(&backup, CONTAINER)?;
        let value = backup.flag(CONFIG_FILE_FLAG)?;
        let flags = config_flag(value.as_deref());
        let mut after = with_flags(&before, &flags)?;
        if backup.host(server_name).is_none() {
            let pod = StaticPod::read(&after, CONTAINER)?;
            if let Some(address) = pod.host(server_name) {
                after = pod.without_host(address, server_name)?;
            }
        }
        let old_file = self.node.read(CONFIG_IN_NODE).await?;
        let change = Change {
            before: &before,
            after: &after,
            flags: &flags,
            file: backup_file.as_deref(),
            old_file,
        };
        self.change(change).await?;
        if backup_file.is_none() {
            self.node.remove(CONFIG_IN_NODE).await?;
        }
        self.backup().forget().await?;
        Ok(Wired::Changed)
    }

    fn backup(&self) -> Backup<'_> {
        Backup {
            node: self.node,
            flags: MANIFEST,
            webhook: CONFIG_IN_NODE,
        }
    }

    fn apiserver(&self) -> Apiserver<'_> {
        let Self { node, admin } = self;
        Apiserver { node, admin }
    }

    /// Puts a manifest in place and waits for the apiserver; takes everything back when that
    /// fails.
    async fn change(&self, change: Change<'_>) -> Result<(), WiringError> {
        let Change {
            before,
            after,
            flags,
            file,
            old_file,
        } = change;
        let pod = StaticPod::read(before, CONTAINER)?;
        let old = |(name, _): &(String, Option<String>)| Ok((name.clone(), pod.flag(name)?));
        let old: Result<Vec<_>, ManifestError> = flags.iter().map(old).collect();
        let old = old?;
        let reason = match self.put(file, after, flags).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reason,
            // A command in the node failed: the new manifest may be in place all the same.
            Err(error) => chain(&error),
        };
        // The kubelet deletes a Pod's logs with it. Without them there is less to read, no more.
        let _ = self.node.run(&["sh", "-c", diagnostics::SET_ASIDE]).await;
        let file = match old_file {
            Some(text) => self.node.write(CONFIG_IN_NODE, &text).await,
            None => self.node.remove(CONFIG_IN_NODE).await,
        };
        let back = self.apiserver().restart(before, &old).await;
        let after = match (back, file) {
            (Ok(Ok(())), Ok(())) => return Err(WiringError::RolledBack { reason }),
            (Ok(Ok(())), Err(error)) => chain(&error),
            (Ok(Err(after)), _) => after,
            (Err(error), _) => chain(&error),
        };
        Err(WiringError::NotBack { reason, after })
    }

    async fn put(
        &self,
        file: Option<&str>,
        manifest: &str,
        flags: &[(String, Option<String>)],
    ) -> Result<Result<(), String>, WiringError> {
        if let Some(text) = file {
            self.node.write(CONFIG_IN_NODE, text).await?;
        }
        self.apiserver().restart(manifest, flags).await
    }
}

/// The apiserver's manifest.
pub(super) async fn manifest(node: &Node) -> Result<String, WiringError> {
    let manifest = node.read(MANIFEST).await?;
    manifest.ok_or(WiringError::NoManifest)
}

fn edited(manifest: &str, patch: &Patch) -> Result<String, ManifestError> {
    let text = with_flags(manifest, &patch.flags)?;
    match &patch.host {
        Some((address, name)) => StaticPod::read(&text, CONTAINER)?.with_host(*address, name),
        None => Ok(text),
    }
}

fn with_flags(manifest: &str, flags: &[(String, Option<String>)]) -> Result<String, ManifestError> {
    let mut text = manifest.to_owned();
    for (name, value) in flags {
        let pod = StaticPod::read(&text, CONTAINER)?;
        if pod.flag(name)? != *value {
            text = match value {
                Some(value) => pod.with(name, value)?,
                None => pod.without(name)?,
            };
        }
    }
    Ok(text)
}
