//! k3s in containers, where `LAB_BACKEND=k3s` allows them and there is an image of k3s: with a
//! node and without, the flag set and taken back, and nothing left.

mod cluster;
mod left;
#[path = "../lab/skipped.rs"]
#[expect(dead_code, reason = "which programs there are is asked elsewhere")]
mod skipped;

use tokenlab_harness::{Backend, Cluster, ClusterBuilder, ClusterError, ClusterPlan, K3sError};
use tokio::sync::{Mutex, MutexGuard};

/// A cluster without its agent, or with it, that this run may start. A test that may not says so.
async fn planned(
    test: &str,
    build: impl FnOnce(ClusterBuilder) -> ClusterBuilder,
) -> Option<ClusterPlan> {
    if !std::env::var("LAB_BACKEND").is_ok_and(|backend| backend == "k3s") {
        skipped::skip(test, "LAB_BACKEND is not `k3s`");
        return None;
    }
    let builder = build(Cluster::builder().backend(Backend::K3s));
    match builder.plan().await {
        Ok(plan) => Some(plan),
        Err(ClusterError::K3s(error @ K3sError::NoImage { .. })) => {
            skipped::skip(test, &error.to_string());
            None
        }
        Err(error) => panic!("must be planned: {error}"),
    }
}

/// One at a time: two of them on two cores time out, and tell nothing.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}
