//! How a cluster is, and where its logs are.

use std::collections::BTreeMap;
use std::time::Duration;

use super::distribution::Distribution;
use super::{Cluster, ClusterError};
use crate::docker::DockerError;
use crate::kubeconfig::Kubeconfig;
use crate::named::{Log, LogName, Part};
use crate::tool::Input;

/// How long the apiserver may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(3);

impl Cluster {
    /// Where the apiserver posts its TokenReviews.
    pub fn webhook_url(&self) -> Result<String, ClusterError> {
        self.plan.webhook_url(self.address.get().copied())
    }

    /// The node's container and what runs in it, and how each is.
    pub async fn parts(&self) -> Vec<Part> {
        let container = self.node.container.name();
        let (running, state) = self.container_state(container).await;
        let mut parts = vec![Part {
            name: container.to_owned(),
            pid: None,
            healthy: running,
            state,
        }];
        if running {
            parts.push(self.apiserver_part().await);
        }
        let webhook = self.webhook.lock().await;
        if let Some(container) = webhook.beside.container() {
            let (healthy, state) = self.container_state(container).await;
            parts.push(Part {
                name: container.to_owned(),
                pid: None,
                healthy,
                state,
            });
        }
        parts
    }

    async fn container_state(&self, container: &str) -> (bool, String) {
        const STATE: &str = "{{.State.Status}} {{.State.ExitCode}}";
        let docker = self.node.docker.unlogged();
        let args = ["container", "inspect", "--format", STATE, "--", container];
        match docker.tool().run_within(PATIENCE, &args).await {
            Ok(said) => match said.trim().split_once(' ') {
                Some(("running", _)) => (true, "running".to_owned()),
                Some((state, code)) => (false, format!("{state}, exit code {code}")),
                None => (false, said),
            },
            Err(error) if error.said().contains("No such container") => {
                (false, "removed".to_owned())
            }
            Err(error) => (false, format!("not known: {}", error.said())),
        }
    }

    async fn apiserver_part(&self) -> Part {
        let ready = async {
            let client = self.client().await.map_err(|error| error.to_string())?;
            let request = http::Request::get("/readyz").body(Vec::new());
            let request = request.map_err(|error| error.to_string())?;
            let answer = client.request_text(request).await;
            answer.map(drop).map_err(|error| error.to_string())
        };
        let (healthy, state) = match tokio::time::timeout(PATIENCE, ready).await {
            Ok(Ok(())) => (true, "ready".to_owned()),
            Ok(Err(error)) => (false, format!("not ready: {error}")),
            Err(_elapsed) => (false, format!("does not answer within {PATIENCE:?}")),
        };
        Part {
            name: "kube-apiserver".to_owned(),
            pid: None,
            healthy,
            state,
        }
    }

    /// The user in `system:masters`.
    pub(crate) fn admin(&self) -> &Kubeconfig {
        &self.admin
    }

    /// The flags that the apiserver is started with, whatever runs.
    pub(crate) async fn told_flags(&self) -> Result<Vec<String>, ClusterError> {
        self.plan.distribution.told_flags(&self.node).await
    }

    /// A file as the apiserver sees it; the inner error says why it sees none.
    pub(crate) async fn seen(
        &self,
        path: &str,
    ) -> Result<Result<String, &'static str>, ClusterError> {
        let there = self.plan.distribution.mounted(&self.node, path).await?;
        if let Some(there) = there {
            let text = self.node.read(&there).await?;
            return Ok(text.ok_or("it is not in the node"));
        }
        Ok(Err(match self.node.read(path).await? {
            Some(_) => {
                "it is in the node, and the manifest of kube-apiserver's Pod mounts no folder with it"
            }
            None => {
                "it is not in the node, nor is a folder for it mounted into kube-apiserver's Pod"
            }
        }))
    }

    /// The log of the apiserver that runs, or that ran last.
    pub(crate) async fn apiserver_log(&self) -> Result<String, ClusterError> {
        // The newest comes first.
        const LOG: &str = "cri() { crictl --timeout=20s \"$@\"; }; \
            cri logs $(cri ps --all --quiet --name '^kube-apiserver$' | head -n 1) 2>&1";
        match &self.plan.distribution {
            Distribution::Kind(_) => Ok(self.node.look(&["sh", "-c", LOG], b"").await?),
            Distribution::K3s(_) => {
                let docker = self.node.docker.unlogged();
                let args = ["logs", "--", self.node.container.name()];
                let output = docker.tool().output(&args, Input::Nothing).await;
                let output = output.map_err(DockerError::from)?;
                Ok(output.stdout + &output.stderr)
            }
        }
    }

    /// Where its logs are.
    pub async fn logs(&self) -> BTreeMap<LogName, Vec<Log>> {
        let webhook = self.webhook.lock().await;
        let beside = webhook.beside.container();
        self.plan
            .distribution
            .logs(self.node.container.name(), &self.plan, beside)
    }
}

/// What a container wrote.
pub(crate) fn of_container(name: &str) -> Log {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Log::Command {
        print: words(&["docker", "logs", "--", name]),
        follow: words(&["docker", "logs", "--follow", "--tail=0", "--", name]),
    }
}

/// What a program says in a node that prints or follows a log.
pub(crate) fn in_node(node: &str, print: &[&str], follow: &[&str]) -> Log {
    let words = |words: &[&str]| {
        let exec = ["docker", "exec", node];
        exec.iter()
            .chain(words)
            .map(|&word| word.to_owned())
            .collect()
    };
    Log::Command {
        print: words(print),
        follow: words(follow),
    }
}
