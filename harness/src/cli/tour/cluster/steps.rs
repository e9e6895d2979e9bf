//! What the steps do.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, bail};
use tokenlab_harness::{Backend, Cause, Kubectl, Poll, Probe, Unauthenticated, until};
use tokio::process::Command;

use super::super::acts::{self, Broken, expected, is_forbidden, is_unauthorized};
use super::super::step::Outcome;
use super::super::users::{GET, SOON};
use super::{Clustered, Wiring};

/// A Pod that ends takes its time, and its Service notices.
const BROKEN: Poll = Poll {
    every: std::time::Duration::from_secs(1),
    within: std::time::Duration::from_secs(90),
};

impl Clustered {
    pub(super) async fn start(&mut self) -> anyhow::Result<Outcome> {
        self.create().await?;
        if self.wiring != Wiring::Nothing {
            self.wire(Wiring::Nothing).await?;
        }
        acts::unknown(self.users()?).await
    }

    pub(super) async fn certificates(&self) -> anyhow::Result<Outcome> {
        let cluster = self.cluster()?;
        let kubectl = cluster.kubectl_with("cn-only", &self.by_common_name.1)?;
        let file = cluster.plan().folder().file("tokenreview.json");
        let port = self.tls.address.port();
        acts::certificates(&self.typist, port, &kubectl, file.as_str()).await
    }

    pub(super) async fn deployed(&mut self) -> anyhow::Result<Outcome> {
        self.deployed = false;
        self.deploy().await?;
        let objects = ["-n", "kube-system", "get", "deployment,service", "my-authn"];
        let objects = self.users()?.admin(&objects).await?;
        let look = "a Deployment of one Pod and a Service; the node itself was answered by it";
        Ok(Outcome::new(look).marked_where(&objects, |line| line.contains("/my-authn ")))
    }

    pub(super) async fn wired(&mut self) -> anyhow::Result<Outcome> {
        let before = self.manifest().await?;
        self.wire(Wiring::Right).await?;
        let after = self.manifest().await?;
        let look =
            "two more flags in the file that the apiserver is started by; it was started again";
        Ok(acts::difference(&before, &after, look))
    }

    /// The file that has the apiserver's flags; empty when there is none.
    async fn manifest(&self) -> anyhow::Result<String> {
        let file = self.flags_file();
        let show = format!("cat {file} 2>/dev/null || :");
        Ok(self.cluster()?.in_node(&["sh", "-c", &show]).await?)
    }

    /// Where in the node the apiserver's flags stand.
    pub(super) fn flags_file(&self) -> &'static str {
        match self.backend {
            Backend::K3s => "/etc/rancher/k3s/config.yaml",
            _ => "/etc/kubernetes/manifests/kube-apiserver.yaml",
        }
    }

    pub(super) async fn revoked(&mut self) -> anyhow::Result<Outcome> {
        let users = self.users_mut()?;
        let listed = users.get().await?;
        expected(
            &listed,
            listed.status.success(),
            "which namespaces there are",
        )?;
        let began = Instant::now();
        let said = users.unbind().await?;
        let output = users.get().await?;
        let seconds = began.elapsed().as_secs_f64();
        let forbidden = expected(&output, is_forbidden(&output), "that mock is forbidden")?;
        let look = "forbidden at once: RBAC watches its roles. That the token is mock's is still remembered";
        Ok(Outcome::new(look)
            .plain(&said)
            .marked(&format!("after {seconds:.1} s {forbidden}")))
    }

    pub(super) async fn stopped(&mut self) -> anyhow::Result<Outcome> {
        let known = self.users()?.get().await?;
        expected(&known, !is_unauthorized(&known), "who mock is")?;
        self.deployed = false;
        #[rustfmt::skip]
        let (scale, gone) = (
            ["-n", "kube-system", "scale", "deployment", "my-authn", "--replicas=0"],
            ["-n", "kube-system", "wait", "--for=delete", "pod", "--timeout=60s",
             "-l", "app.kubernetes.io/instance=my-authn"],
        );
        let scaled = self.users()?.admin(&scale).await?;
        // kubectl says that there is none when it is gone already.
        self.users()?.admin.run(gone).await?;
        let known = |output: &tokenlab_harness::Output| !is_unauthorized(output);
        let watched = self.users()?.watch(&self.progress, known).await?;
        let told = watched.told("mock is known, from the cache")?;
        let broken = self.broken(Cause::NothingListens).await?;
        broken.shown(Outcome::default().plain(&scaled).plain(&told))
    }

    pub(super) async fn wrong_ca(&mut self) -> anyhow::Result<Outcome> {
        self.wire(Wiring::WrongCa).await?;
        let broken = self.broken(Cause::UnknownAuthority).await?;
        broken.shown(Outcome::default())
    }

    /// What a token that nobody has shown yet comes to, and why: this must be the reason, at the
    /// latest when all that a Pod leaves behind is gone.
    async fn broken(&self, cause: Cause) -> anyhow::Result<Broken> {
        let kubectl = self.cluster()?.kubectl_with("fresh", &self.fresh()?)?;
        let look = async || match self.refused(&kubectl).await {
            Ok(broken) if broken.found.cause == Some(cause) => Probe::Ready(Ok(broken)),
            Ok(broken) => Probe::NotYet(broken.found.error.into()),
            // What is no answer to the question ends it.
            Err(error) => Probe::Ready(Err(error)),
        };
        let found = until::<_, std::convert::Infallible, _>("the log tells why", BROKEN, look);
        let title = "asking with a token that nobody has shown yet";
        self.progress.step(title, found).await?
    }

    /// kubectl's refusal, and what the log told of it.
    async fn refused(&self, kubectl: &Kubectl) -> anyhow::Result<Broken> {
        let before = Unauthenticated::in_log(&self.log().await?).len();
        let output = kubectl.run(GET).await?;
        let said = expected(
            &output,
            is_unauthorized(&output),
            "that nobody is logged in",
        )?;
        let look = async || match self.log().await {
            Ok(log) => match (
                Unauthenticated::in_log(&log)
                    .into_iter()
                    .skip(before)
                    .last(),
                (log.lines()).rfind(|line| line.contains("Unable to authenticate")),
            ) {
                (Some(found), Some(line)) => Probe::Ready(Ok((found, line.to_owned()))),
                _ => Probe::NotYet("the log tells of no request".into()),
            },
            Err(error) => Probe::Ready(Err(error)),
        };
        let found = until::<_, std::convert::Infallible, _>("the log tells why", SOON, look);
        let (found, line) = found.await??;
        Ok(Broken { said, line, found })
    }

    /// The log of the apiserver that runs now.
    async fn log(&self) -> anyhow::Result<String> {
        const LOG: &str = "cri() { crictl --timeout=20s \"$@\"; }; \
            cri logs $(cri ps --quiet --name '^kube-apiserver$') 2>&1";
        match self.backend {
            Backend::K3s => {
                let node = self.node();
                let mut docker = Command::new("docker");
                docker.args(["logs", &node]).stdin(Stdio::null());
                let output = docker.kill_on_drop(true).output().await;
                let output = output.context("`docker logs` could not be run")?;
                if !output.status.success() {
                    bail!("`docker logs {node}` failed: {}", output.status);
                }
                // Each program's two streams are two here too.
                let bytes = [output.stdout, output.stderr].concat();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => Ok(self.cluster()?.in_node(&["sh", "-c", LOG]).await?),
        }
    }
}
