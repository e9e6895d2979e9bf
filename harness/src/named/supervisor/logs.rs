//! Where a lab's logs are.

use std::collections::BTreeMap;

use crate::backend::MockLab;
use crate::named::protocol::{Log, LogName};

/// All logs of a lab.
pub(super) async fn of(lab: &MockLab) -> BTreeMap<LogName, Vec<Log>> {
    match lab {
        MockLab::Bare(lab) => {
            let logs = lab.control_plane().logs();
            let none = |why: &str| vec![Log::None(why.to_owned())];
            BTreeMap::from([
                (
                    LogName::Apiserver,
                    vec![Log::File(logs.join("kube-apiserver.log"))],
                ),
                (LogName::Etcd, vec![Log::File(logs.join("etcd.log"))]),
                (
                    LogName::Webhook,
                    none(
                        "the supervisor of a bare lab serves its webhook, and `tokenlab watch` \
                         shows what it is asked",
                    ),
                ),
                (LogName::Node, none("a bare lab has no node")),
            ])
        }
        MockLab::Cluster(cluster) => cluster.logs().await,
    }
}
