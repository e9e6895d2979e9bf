//! How a lab is.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use semver::Version;

use super::{Failure, Supervisor, health, logs};
use crate::backend::{MockLab, MockLabError};
use crate::existing::Operator;
use crate::named::protocol::{Log, LogName, Status};

/// What does not change as long as a lab runs.
#[derive(Debug)]
pub(super) struct Facts {
    kubernetes: Version,
    folder: Utf8PathBuf,
    kubectl: Utf8PathBuf,
    kubeconfig: Utf8PathBuf,
    webhook: String,
    operator: Option<Operator>,
    logs: BTreeMap<LogName, Vec<Log>>,
}

impl Facts {
    pub(super) async fn of(lab: &MockLab) -> Result<Self, MockLabError> {
        let kubectl = lab.kubectl()?;
        Ok(Self {
            kubernetes: lab.version().clone(),
            folder: lab.folder().path().to_owned(),
            kubectl: kubectl.program().to_owned(),
            kubeconfig: kubectl.kubeconfig().to_owned(),
            webhook: lab.webhook_url()?,
            operator: match lab {
                MockLab::Existing(_, operator) => Some(operator.clone()),
                MockLab::Bare(_) | MockLab::Cluster(_) => None,
            },
            logs: logs::of(lab).await,
        })
    }
}

/// All that is needed to use it.
pub(super) async fn status(supervisor: &Supervisor) -> Result<Status, Failure> {
    let Supervisor { record, facts, .. } = supervisor;
    let flags = supervisor.given().args();
    Ok(Status {
        name: record.name.clone(),
        backend: record.backend,
        kubernetes: facts.kubernetes.clone(),
        tokenlab: record.tokenlab.clone(),
        pid: record.owner.pid,
        age_s: record.age().0.as_secs(),
        folder: facts.folder.clone(),
        kubectl: facts.kubectl.clone(),
        kubeconfig: facts.kubeconfig.clone(),
        webhook: facts.webhook.clone(),
        operator: facts.operator.clone(),
        flags,
        health: health::of(supervisor).await,
        logs: facts.logs.clone(),
    })
}
