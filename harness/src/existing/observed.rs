//! How the webhook is in the cluster, and where its log is.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;

use super::Existing;
use crate::cluster::deployment::rolled_out;
use crate::named::{Log, LogName, Part};

/// How long the cluster may take to tell.
const PATIENCE: Duration = Duration::from_secs(5);

impl Existing {
    /// The webhook's Deployment, and how it is. How the cluster is besides is not looked at.
    pub async fn parts(&self) -> Vec<Part> {
        let (name, wanted) = (&self.manifests.name, self.manifests.replicas);
        let deployment = self.get::<Deployment>("deployment", name);
        let (healthy, state) = match tokio::time::timeout(PATIENCE, deployment).await {
            Ok(Ok(deployment)) => match rolled_out(&deployment, wanted) {
                Ok(()) => (true, format!("{wanted} of {wanted} ready")),
                Err(ready) => (false, format!("{ready} of {wanted} ready")),
            },
            Ok(Err(error)) => (false, format!("not known: {}", error.in_a_line())),
            Err(_elapsed) => (false, format!("not known within {PATIENCE:?}")),
        };
        vec![Part {
            name: format!("deployment {name}"),
            pid: None,
            healthy,
            state,
        }]
    }

    /// Where the logs are: the webhook's alone.
    pub fn logs(&self) -> BTreeMap<LogName, Vec<Log>> {
        let selector = self.selector();
        let namespace = &self.manifests.namespace;
        let log = |more: &[&str]| {
            let words = ["logs", "--namespace", namespace, "--selector", &selector];
            let words = [&words, more].concat();
            let program = self.kubectl.program().as_str();
            let words = std::iter::once(program).chain(self.args(&words));
            words.map(str::to_owned).collect()
        };
        let webhook = Log::Command {
            print: log(&["--tail=-1"]),
            follow: log(&["--tail=0", "--follow"]),
        };
        let why = "the cluster is somebody else's: its own kubectl and machines have it";
        let none = || vec![Log::None(why.to_owned())];
        BTreeMap::from([
            (LogName::Apiserver, none()),
            (LogName::Etcd, none()),
            (LogName::Webhook, vec![webhook]),
            (LogName::Node, none()),
        ])
    }
}
