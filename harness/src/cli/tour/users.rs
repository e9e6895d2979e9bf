//! Who asks: the admin, and the token's user, whom a role may let in.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Kubectl, Output, Poll, Probe, until};

use super::acts::{expected, is_forbidden, is_unauthorized};

pub(super) const GET: [&str; 2] = ["get", "ns"];

/// For what takes effect by itself: a binding reaches the authorizer by a watch.
pub(super) const SOON: Poll = Poll {
    every: Duration::from_millis(50),
    within: Duration::from_secs(60),
};

/// As often as a person would look, and longer than both caches together.
const WATCH: Poll = Poll {
    every: Duration::from_secs(1),
    within: Duration::from_secs(60),
};

pub(super) struct Users {
    pub(super) admin: Kubectl,
    pub(super) mock: Kubectl,
    /// Whether `group-mock` may list namespaces.
    bound: bool,
}

/// How long an answer went on.
pub(super) struct Watched {
    /// How often it was the old one.
    pub(super) before: usize,
    pub(super) seconds: f64,
    /// What came then.
    pub(super) after: Output,
}

impl Users {
    pub(super) fn new(admin: Kubectl, mock: Kubectl) -> Self {
        Self {
            admin,
            mock,
            bound: false,
        }
    }

    /// `kubectl get ns` as mock.
    pub(super) async fn get(&self) -> anyhow::Result<Output> {
        Ok(self.mock.run(GET).await?)
    }

    /// What the admin's kubectl says to this; it must succeed.
    pub(super) async fn admin(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.admin.run(args).await?;
        expected(&output, output.status.success(), "that it is done")
    }

    /// Has the group list namespaces; what kubectl said to that.
    pub(super) async fn bind(&mut self) -> anyhow::Result<String> {
        let mut said = String::new();
        if !self.bound {
            #[rustfmt::skip]
            let (role, binding) = (
                ["create", "clusterrole", "look", "--verb=list", "--resource=namespaces"],
                ["create", "clusterrolebinding", "look", "--clusterrole=look", "--group=group-mock"],
            );
            let role = self.admin(&role).await?;
            said = format!("{role}\n{}", self.admin(&binding).await?);
            self.bound = true;
        }
        self.come_to("mock may list namespaces", |output| output.status.success())
            .await?;
        Ok(said)
    }

    /// Has nobody list namespaces but the admin; what kubectl said to that.
    pub(super) async fn unbind(&mut self) -> anyhow::Result<String> {
        let mut said = String::new();
        if self.bound {
            let gone = ["delete", "clusterrolebinding,clusterrole", "look"];
            said = self.admin(&gone).await?;
            self.bound = false;
        }
        self.come_to("mock is forbidden", is_forbidden).await?;
        Ok(said)
    }

    /// Waits until the apiserver knows the token again.
    pub(super) async fn is_known(&self) -> anyhow::Result<()> {
        let known = self.come_to("the token is known", |output| !is_unauthorized(output));
        known.await.map(drop)
    }

    /// Waits until `kubectl get ns` as mock comes to this.
    pub(super) async fn come_to(
        &self,
        what: &str,
        is_so: impl Fn(&Output) -> bool,
    ) -> anyhow::Result<Output> {
        let look = async || match self.mock.run(GET).await {
            Ok(output) if is_so(&output) => Probe::Ready(output),
            Ok(output) => Probe::NotYet(output.to_string().into()),
            Err(error) => Probe::Fatal(error),
        };
        Ok(until(what, SOON, look).await?)
    }

    /// Asks once a second as mock until nobody is logged in any more; before that it must be this.
    pub(super) async fn watch(
        &self,
        progress: &Progress,
        before: impl Fn(&Output) -> bool,
    ) -> anyhow::Result<Watched> {
        let began = Instant::now();
        let count = Cell::new(0_usize);
        let look = async || match self.mock.run(GET).await {
            Ok(output) if before(&output) => {
                count.set(count.get() + 1);
                Probe::NotYet("the old answer".into())
            }
            Ok(output) => Probe::Ready(output),
            Err(error) => Probe::Fatal(error),
        };
        let watched = until("the apiserver finds out", WATCH, look);
        let title = "asking once a second until the apiserver finds out";
        let after = progress.step(title, watched).await?;
        Ok(Watched {
            before: count.get(),
            seconds: began.elapsed().as_secs_f64(),
            after,
        })
    }
}

impl Watched {
    /// In two lines; `before` says what the old answer was.
    pub(super) fn told(&self, before: &str) -> anyhow::Result<String> {
        let Self {
            before: count,
            seconds,
            after,
        } = self;
        let after = expected(after, is_unauthorized(after), "that nobody is logged in")?;
        let after = after.lines().last().unwrap_or_default();
        Ok(format!(
            "at first     … ({before}, {})\nafter {seconds:.1} s {after}",
            times(*count)
        ))
    }
}

pub(super) fn times(count: usize) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}
