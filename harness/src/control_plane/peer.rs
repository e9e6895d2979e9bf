//! A second kube-apiserver beside the first, as a cluster with several control plane nodes has.

use super::{
    ControlPlane, ControlPlaneError, Kubeconfig, Port, Process, apiserver, audit, kubeconfig,
};

/// Another kube-apiserver on a control plane's etcd: the same flags and keys, so the same users and
/// rights, and a memory of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Peer {
    // Dropped in this order: the port is free when nobody listens on it any more.
    process: Process,
    port: Port,
}

impl ControlPlane {
    /// Starts another kube-apiserver with the flags that the first one has now, on a port of its own
    /// and with a log of its own, `kube-apiserver-<port>.log`. Returns when it is ready.
    ///
    /// It sees neither later [restarts](Self::restart) nor the webhook's journal, and writes no audit
    /// log: that file is the first one's. Nobody watches it, and without etcd it answers nothing: end it
    /// before this control plane.
    pub async fn peer(&self) -> Result<Peer, ControlPlaneError> {
        let port = Port::reserve().map_err(ControlPlaneError::Port)?;
        let mut flags = self.plan.flags.clone();
        flags.set("secure-port", port.number().to_string());
        flags.unset(audit::LOG_FLAG);
        let mut plan = apiserver::plan(
            &self.plan.apiserver,
            &self.plan.folder,
            &self.plan.logs,
            &flags,
            &self.plan.env,
        );
        plan.log
            .set_file_name(format!("kube-apiserver-{}.log", port.number()));
        self.plan.record(&plan)?;
        let process = plan.spawn()?;
        let peer = Peer { process, port };
        let admin = kubeconfig::client(&peer.asked_by(self.plan.admin.clone()))
            .await
            .map_err(|error| ControlPlaneError::Client(Box::new(error)))?;
        apiserver::ready(&peer.process, &admin).await?;
        Ok(peer)
    }
}

impl Peer {
    /// A user of the first apiserver who asks this one.
    pub fn asked_by(&self, user: Kubeconfig) -> Kubeconfig {
        Kubeconfig {
            server: super::server(self.port.number()),
            ..user
        }
    }

    /// Ends it at once.
    pub async fn kill(self) {
        self.process.kill().await;
    }
}
