//! Where a lab's logs are.

use std::collections::BTreeMap;

use super::journal_log;
use crate::backend::MockLab;
use crate::named::protocol::{Log, LogName};

/// All logs of a lab.
pub(super) async fn of(lab: &MockLab) -> BTreeMap<LogName, Vec<Log>> {
    match lab {
        MockLab::Bare(lab) => {
            let logs = lab.control_plane().logs();
            let none = |why: &str| vec![Log::None(why.to_owned())];
            let webhook = match lab.webhook().log() {
                Some(log) => vec![Log::File(log)],
                None if lab.webhook().is_served_here() => {
                    vec![Log::File(journal_log::path(lab.folder().path()))]
                }
                None => none("the webhook runs elsewhere, and so is its log"),
            };
            BTreeMap::from([
                (
                    LogName::Apiserver,
                    vec![Log::File(logs.join("kube-apiserver.log"))],
                ),
                (LogName::Etcd, vec![Log::File(logs.join("etcd.log"))]),
                (LogName::Webhook, webhook),
                (LogName::Node, none("a bare lab has no node")),
            ])
        }
        MockLab::Cluster(cluster) => cluster.logs().await,
        MockLab::Existing(existing, _) => existing.logs(),
    }
}
