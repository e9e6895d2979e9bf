//! Whether each part of a lab runs.

use super::Supervisor;
use crate::backend::MockLab;
use crate::named::protocol::Part;

/// Each part, and how it is.
pub(super) async fn of(supervisor: &Supervisor) -> Vec<Part> {
    // Alone with the lab is who changes its apiserver's flags, and nobody else.
    let Ok(lab) = supervisor.lab.try_read() else {
        return vec![Part {
            name: "kube-apiserver".to_owned(),
            pid: None,
            healthy: false,
            state: "being started anew with other flags".to_owned(),
        }];
    };
    match &*lab {
        MockLab::Bare(lab) => {
            let mut parts = lab.parts();
            // One that is not the lab's own is known by its command, if at all.
            let Ok(up) = lab.webhook().is_up().await else {
                return parts;
            };
            let state = if up {
                "listens"
            } else {
                "down, until `tokenlab set --up`"
            };
            parts.push(Part {
                name: "webhook".to_owned(),
                pid: None,
                healthy: up,
                state: state.to_owned(),
            });
            parts
        }
        MockLab::Cluster(cluster) => cluster.parts().await,
        MockLab::Existing(existing, _) => existing.parts().await,
    }
}
