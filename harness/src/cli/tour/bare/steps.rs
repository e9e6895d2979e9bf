//! What the steps do.

use anyhow::{Context as _, bail};
use tokenlab_harness::{Cause, Fault, Kubeconfig, LogMark, Probe, Unauthenticated, until};
use tokenlab_webhook::Decision;

use super::super::acts::{self, Broken, expected, is_unauthorized};
use super::super::scenes;
use super::super::step::Outcome;
use super::super::users::{GET, SOON, Users, times};
use super::super::web;
use super::scenes::{WEBHOOK_CONFIG, own_process, wrong_ca};
use super::{Bare, Wiring, mock};

impl Bare {
    pub(super) async fn start(&mut self) -> anyhow::Result<Outcome> {
        self.wire(Wiring::Nothing).await?;
        acts::unknown(self.users()?).await
    }

    pub(super) async fn certificates(&self) -> anyhow::Result<Outcome> {
        let lab = self.lab()?;
        let kubectl = lab.kubectl_with("cn-only", &self.by_common_name.1)?;
        let file = lab.folder().file("tokenreview.json");
        let port = web::address(lab.webhook())?.port();
        acts::certificates(&self.typist, port, &kubectl, file.as_str()).await
    }

    pub(super) async fn tls(&self) -> anyhow::Result<Outcome> {
        acts::tls(&self.typist, web::address(self.webhook()?)?.port()).await
    }

    pub(super) async fn deploy(&self) -> anyhow::Result<Outcome> {
        let pid = std::process::id().to_string();
        let look = "on kind and k3s this step has an image, a Deployment and a Service";
        let outcome = Outcome::new(look);
        self.typist.see(outcome, &own_process(), &pid, true).await
    }

    pub(super) async fn wired(&mut self) -> anyhow::Result<Outcome> {
        let before = self.lab()?.control_plane().plan().to_string();
        self.wire(Wiring::Right).await?;
        let after = self.lab()?.control_plane().plan().to_string();
        let lines = |text: &str| {
            let flags = text.lines().last().unwrap_or_default();
            format!("{}\n", flags.replace(" --", "\n--"))
        };
        let look = "one more flag, read at the start: kube-apiserver was started again";
        let mut outcome = acts::difference(&lines(&before), &lines(&after), look);
        let file = Outcome::default();
        let file = self.typist.see(file, WEBHOOK_CONFIG, "server: ", true);
        outcome.lines.splice(0..0, file.await?.lines);
        Ok(outcome)
    }

    pub(super) async fn revoked(&mut self) -> anyhow::Result<Outcome> {
        let output = self.users()?.get().await?;
        expected(
            &output,
            output.status.success(),
            "which namespaces there are",
        )?;
        let asked = self.script.calls(&self.token).len();
        self.script.script(&self.token, Decision::Refused);
        self.refused = true;
        let listed = |output: &tokenlab_harness::Output| output.status.success();
        let watched = self.users()?.watch(&self.progress, listed).await?;
        let asked = self.script.calls(&self.token).len() - asked;
        let look = format!(
            "a revoked token went on for {:.0} s; by default up to 2 min 10 s",
            watched.seconds
        );
        let told = watched.told("the namespaces are listed")?;
        let asked = format!("the webhook was asked {} in all that time", times(asked));
        Ok(Outcome::new(look)
            .marked_where(&told, |line| line.starts_with("after"))
            .plain(&asked))
    }

    pub(super) async fn stopped(&mut self) -> anyhow::Result<Outcome> {
        self.webhook()?.down().await?;
        self.broken(Cause::NothingListens, Outcome::default()).await
    }

    pub(super) async fn wrong_ca(&mut self) -> anyhow::Result<Outcome> {
        let outcome = Outcome::default();
        let [copy, set] = wrong_ca();
        let outcome = self.typist.see(outcome, &copy, "", false).await?;
        let outcome = self.typist.see(outcome, &set, "set.", false).await?;
        self.wire(Wiring::WrongCa).await?;
        self.broken(Cause::UnknownAuthority, outcome).await
    }

    pub(super) async fn wrong_version(&mut self) -> anyhow::Result<Outcome> {
        let webhook = self.webhook()?;
        webhook.set_fault(Some(Fault::OtherVersion))?;
        let post = scenes::post(web::address(webhook)?.port());
        let outcome = Outcome::default();
        let outcome = self.typist.see(outcome, &post, "k8s.io/v1\"", false);
        self.broken(Cause::OtherVersion, outcome.await?).await
    }

    /// What a token that nobody has shown yet comes to, and why: this must be the reason.
    async fn broken(&self, cause: Cause, outcome: Outcome) -> anyhow::Result<Outcome> {
        let user = self.fresh()?;
        let lab = self.lab()?;
        let kubectl = lab.kubectl_with("fresh", &user)?;
        let log = LogMark::end_of(&lab.control_plane().logs().join("kube-apiserver.log"))?;
        let output = kubectl.run(GET).await?;
        let said = expected(
            &output,
            is_unauthorized(&output),
            "that nobody is logged in",
        )?;
        let look = async || match log.since() {
            Ok(text) => match Unauthenticated::in_log(&text).pop() {
                Some(found) => Probe::Ready(found),
                None => Probe::NotYet("the log tells of no request".into()),
            },
            Err(error) => Probe::Fatal(error),
        };
        let found = until("the log tells why", SOON, look).await?;
        if found.cause != Some(cause) {
            bail!(
                "the log does not say that {cause}; it says: {}",
                found.error
            );
        }
        let line = self.typist.run(scenes::LOG).await?;
        Broken { said, line, found }.shown(outcome)
    }

    /// The kubeconfig of a user whose token nobody has shown yet: `fresh.kubeconfig`.
    pub(super) fn fresh(&self) -> anyhow::Result<Kubeconfig> {
        let lab = self.lab()?;
        let user = lab.token_user(&self.script.token(mock()));
        lab.folder().write("fresh.kubeconfig", &user.yaml())?;
        Ok(user)
    }

    pub(super) fn users(&self) -> anyhow::Result<&Users> {
        self.users.as_ref().context(super::NOTHING)
    }

    pub(super) fn users_mut(&mut self) -> anyhow::Result<&mut Users> {
        self.users.as_mut().context(super::NOTHING)
    }
}
