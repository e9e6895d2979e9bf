//! k3s in a build without testcontainers, which starts it elsewhere.

use super::{K3s, K3sError};
use crate::cluster::{ClusterError, ClusterPlan};
use crate::node::Node;

impl K3s {
    /// Nothing to start it by; [`K3s::find`] has said so before.
    #[expect(
        clippy::unused_async,
        reason = "as where there is something to wait for"
    )]
    pub(super) async fn start(&self, _: &ClusterPlan, _: &Node) -> Result<u16, ClusterError> {
        Err(K3sError::LeftOut.into())
    }
}
