//! The flags of a running k3s' apiserver: set, verified, taken back.

use super::apiserver::{Back, Flags, restart, runs_with};
use super::config::{self, Config};
use super::files::{File, tar};
use super::{CONFIG_IN_NODE, K3sError};
use crate::assets::chain;
use crate::backup::Backup;
use crate::cluster::{Patch, Wired};
use crate::docker::DockerError;
use crate::kubeconfig::Kubeconfig;
use crate::lab::CONFIG_FILE_FLAG;
use crate::node::Node;
use crate::tool::Input;

/// The two files in the container that matter here; `None`: there is none.
#[derive(Clone, Debug, PartialEq)]
struct Files {
    config: Option<String>,
    webhook: Option<String>,
}

/// The apiserver of one k3s, and how it is asked whether it is ready.
#[derive(Debug)]
pub(super) struct Wiring<'a> {
    pub(super) node: &'a Node,
    pub(super) admin: &'a Kubeconfig,
}

impl Wiring<'_> {
    /// Changes what is not so yet. When the apiserver does not start with it, all is as it was.
    pub(super) async fn set(&self, patch: &Patch) -> Result<Wired, K3sError> {
        let before = self.files().await?;
        let old = read(&before)?;
        let mut new = old.clone();
        for (name, value) in &patch.flags {
            new.set(name, value.as_deref());
        }
        let webhook = patch.config.clone().or_else(|| before.webhook.clone());
        if new == old && webhook == before.webhook && runs_with(self.node, &patch.flags).await? {
            return Ok(Wired::Already);
        }
        let first = patch.config.is_some() && {
            let config = before.config.as_deref().unwrap_or_default();
            let backup = self.backup();
            backup.keep(config, before.webhook.as_deref()).await?
        };
        let after = Files {
            config: Some(new.yaml()),
            webhook,
        };
        let changed = self.change(&before, &after, &patch.flags).await;
        if first && matches!(changed, Err(K3sError::RolledBack { .. })) {
            // A backup that stays is what is there, and why the change failed matters more.
            let _ = self.backup().forget().await;
        }
        changed.map(|()| Wired::Changed)
    }

    /// Gives the webhook's flag and its file the state that they had before they were set here.
    /// What else was changed in the configuration since stays.
    pub(super) async fn undo(&self) -> Result<Wired, K3sError> {
        let backup = Files {
            config: self.backup().flags().await?,
            webhook: self.backup().webhook().await?,
        };
        if backup.config.is_none() {
            return Ok(Wired::Already);
        }
        let before = self.files().await?;
        let flag = read(&backup)?.flag(CONFIG_FILE_FLAG).map(str::to_owned);
        let mut config = read(&before)?;
        config.set(CONFIG_FILE_FLAG, flag.as_deref());
        let after = Files {
            config: Some(config.yaml()),
            webhook: backup.webhook,
        };
        let flags = [(CONFIG_FILE_FLAG.to_owned(), flag)];
        self.change(&before, &after, &flags).await?;
        self.backup().forget().await?;
        Ok(Wired::Changed)
    }

    async fn files(&self) -> Result<Files, K3sError> {
        Ok(Files {
            config: self.node.read(config::PATH).await?,
            webhook: self.node.read(CONFIG_IN_NODE).await?,
        })
    }

    fn backup(&self) -> Backup<'_> {
        Backup {
            node: self.node,
            flags: config::PATH,
            webhook: CONFIG_IN_NODE,
        }
    }

    /// Puts the files in place and waits for the apiserver; takes all back when that fails.
    async fn change(
        &self,
        before: &Files,
        after: &Files,
        flags: Flags<'_>,
    ) -> Result<(), K3sError> {
        let config = read(before)?;
        let old = flags.iter().map(|(name, _)| {
            let value = config.flag(name).map(str::to_owned);
            (name.clone(), value)
        });
        let old: Vec<_> = old.collect();
        let reason = match self.restart(after, flags).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reason,
            // A command failed: the new files may be in place all the same.
            Err(error) => chain(&error),
        };
        match self.roll_back(before, &old).await {
            Ok(()) => Err(K3sError::RolledBack { reason }),
            Err(after) => Err(K3sError::NotBack { reason, after }),
        }
    }

    /// The inner result tells why the apiserver is not back.
    async fn restart(&self, files: &Files, flags: Flags<'_>) -> Result<Back, K3sError> {
        self.put(files).await?;
        let back = restart(self.node, self.admin, flags).await?;
        if back.is_ok() {
            self.remove_what_is_not_in(files).await?;
        }
        Ok(back)
    }

    /// The same, step by step whatever fails before; what failed is the error.
    async fn roll_back(&self, files: &Files, flags: Flags<'_>) -> Result<(), String> {
        let steps = [
            self.put(files).await,
            match restart(self.node, self.admin, flags).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(seen)) => Err(K3sError::NotReady {
                    seen,
                    log: String::new(),
                }),
                Err(error) => Err(error),
            },
            self.remove_what_is_not_in(files).await,
        ];
        let failed = steps.iter().filter_map(|step| step.as_ref().err());
        let failed: Vec<_> = failed.map(|error| chain(error)).collect();
        match failed.as_slice() {
            [] => Ok(()),
            failed => Err(failed.join("; ")),
        }
    }

    /// By `docker cp`: k3s may have ended, and in a container that does not run nothing else can
    /// be done.
    async fn put(&self, files: &Files) -> Result<(), K3sError> {
        let file = |path, text| File {
            path,
            owner: 0,
            text,
        };
        let config = files.config.as_deref().unwrap_or_default();
        let mut put = vec![file(config::PATH, config)];
        if let Some(webhook) = &files.webhook {
            put.push(file(CONFIG_IN_NODE, webhook));
        }
        let target = format!("{}:/", self.node.container.name());
        let tool = self.node.docker.tool();
        let args = ["cp", "-", &target];
        let copied = tool.feed(&args, Input::Bytes(&tar(&put))).await;
        copied.map_err(DockerError::from)?;
        Ok(())
    }

    async fn remove_what_is_not_in(&self, files: &Files) -> Result<(), K3sError> {
        let Files { config, webhook } = files;
        for (path, text) in [(config::PATH, config), (CONFIG_IN_NODE, webhook)] {
            if text.is_none() {
                self.node.remove(path).await?;
            }
        }
        Ok(())
    }
}

fn read(files: &Files) -> Result<Config, K3sError> {
    let text = files.config.as_deref().unwrap_or_default();
    Config::read(text).map_err(K3sError::Config)
}

#[cfg(test)]
mod tests;
