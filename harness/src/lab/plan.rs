//! A lab that is decided, and started.

use std::collections::BTreeMap;
use std::fmt;

use super::{Lab, LabError, LabPlan};
use crate::assets::Assets;
use crate::flags::Flags;
use crate::process::Plan;
use crate::run_folder::RunFolder;
use crate::webhook::Webhook;

impl LabPlan {
    /// The programs that it will run.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The webhook, which answers already.
    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// The run folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// kube-apiserver's flags.
    pub fn flags(&mut self) -> &mut Flags {
        self.control_plane.flags()
    }

    /// kube-apiserver alone, with its flags as they are now: what it makes of them at its start needs no
    /// etcd.
    pub fn apiserver(&self) -> Plan {
        self.control_plane.apiserver()
    }

    /// The environment of kube-apiserver, but for `PATH`, which is its owner's.
    pub fn env(&mut self) -> &mut BTreeMap<String, String> {
        self.control_plane.env()
    }

    /// Starts the control plane, and returns when it is ready. When it does not start, the run
    /// folder is kept: the logs are in it.
    pub async fn start(self) -> Result<Lab, LabError> {
        let Self {
            control_plane,
            mut webhook,
            assets,
            folder,
            progress,
        } = self;
        let title = format!("starting etcd and kube-apiserver {}", assets.version);
        let started = tokio::select! {
            biased;
            error = webhook.failed() => Err(error.into()),
            started = progress.step(&title, control_plane.start()) => started.map_err(LabError::from),
        };
        match started {
            Ok(control_plane) => {
                folder.set_evidence(true);
                Ok(Lab {
                    control_plane,
                    webhook,
                    assets,
                    folder,
                })
            }
            Err(error) => {
                folder.keep_evidence();
                Err(error)
            }
        }
    }
}

impl fmt::Display for LabPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.control_plane.fmt(f)
    }
}
