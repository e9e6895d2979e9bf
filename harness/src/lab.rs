//! A lab: one control plane, one webhook wired into it, one run folder.

mod error;
mod flags;
mod plan;

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokenlab_webhook::{ApiVersion, Authenticator, Token};

use crate::assets::{Assets, Wanted};
use crate::control_plane::{ControlPlane, ControlPlanePlan};
use crate::flags::Flags;
use crate::journal::audit;
use crate::kubeconfig::{self, Identity, Kubeconfig};
use crate::kubectl::Kubectl;
use crate::named::Part;
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::webhook::{Webhook, WebhookSource};
pub use error::LabError;
pub(crate) use flags::check;
pub use flags::{FlagsError, KEPT_FLAGS};

/// The flag that names the file by which the apiserver reaches its webhook.
pub const CONFIG_FILE_FLAG: &str = "authentication-token-webhook-config-file";
/// The flag for the version of TokenReview that the apiserver speaks; v1beta1 by default, still
/// in 1.37 (`pkg/kubeapiserver/options/authentication.go`, `WithWebHook`).
pub const VERSION_FLAG: &str = "authentication-token-webhook-version";
/// The file's name in the run folder.
pub const CONFIG_FILE: &str = "webhook-config.yml";

/// What a lab shall be. Every choice has a default: Kubernetes' default series, the mock, the
/// apiserver's own defaults.
#[derive(Debug)]
#[must_use]
pub struct LabBuilder {
    wanted: Wanted,
    webhook: WebhookSource,
    version: Option<ApiVersion>,
    flags: Flags,
    audit: bool,
    progress: Progress,
}

/// A lab of which everything is decided and the webhook listens; no control plane runs yet.
/// `Display` is the command lines that will.
#[derive(Debug)]
pub struct LabPlan {
    control_plane: ControlPlanePlan,
    webhook: Webhook,
    assets: Assets,
    folder: RunFolder,
    progress: Progress,
}

/// A running lab. [`stop`](Self::stop) ends it. Dropped, it ends too, and its run folder is kept
/// and announced: a test that returned early, panicked or was given up has failed.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: the folder goes when nobody writes to it any more.
    control_plane: ControlPlane,
    webhook: Webhook,
    assets: Assets,
    folder: RunFolder,
}

impl LabBuilder {
    /// The version of Kubernetes.
    pub fn kubernetes(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// What answers the reviews, in the lab's owner. [`Scripted`](crate::Scripted) is better given as
    /// the [`webhook`](Self::webhook).
    pub fn authenticator(self, authenticator: impl Authenticator) -> Self {
        self.webhook(WebhookSource::served(authenticator))
    }

    /// The webhook, when it is not one that the lab's owner serves: a
    /// [`WebhookCommand`](crate::WebhookCommand), or one [`Elsewhere`](crate::Elsewhere).
    pub fn webhook(mut self, webhook: impl Into<WebhookSource>) -> Self {
        self.webhook = webhook.into();
        self
    }

    /// The version of TokenReview that the apiserver is told to speak.
    pub fn webhook_version(mut self, version: ApiVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// A flag of kube-apiserver, which replaces the lab's own.
    pub fn flag(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.flags.set(name, value);
        self
    }

    /// Has the apiserver write an audit log, and the webhook's journal tell of the requests that
    /// were answered without a review, too. Not so by default.
    pub fn audit(mut self, audit: bool) -> Self {
        self.audit = audit;
        self
    }

    /// Where to show how far it is; nowhere by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Finds the programs, writes the files, opens the webhook: one that is not served by the lab's
    /// owner must answer a TokenReview before anything else is started.
    pub async fn plan(self) -> Result<LabPlan, LabError> {
        let Self {
            wanted,
            webhook,
            version,
            flags,
            audit,
            progress,
        } = self;
        let assets = Assets::ensure(&wanted, &progress).await?;
        let folder = RunFolder::create()?;
        let asked = version.unwrap_or(ApiVersion::V1Beta1);
        let webhook = match webhook.open(&folder, asked).await {
            Ok(webhook) => webhook,
            Err(error) => {
                if error.has_a_log() {
                    folder.keep_evidence();
                }
                return Err(error.into());
            }
        };
        folder.write("webhook-ca.crt", webhook.certificate_authority())?;
        let config = folder.write(CONFIG_FILE, &webhook.kubeconfig().yaml())?;
        let mut control_plane = ControlPlanePlan::new(&assets, &folder)?;
        // What somebody else's webhook is asked nobody here sees.
        let follows = audit && webhook.is_served_here();
        control_plane.tell(webhook.journal().clone(), follows);
        let apiserver = control_plane.flags();
        apiserver.set(CONFIG_FILE_FLAG, config);
        if let Some(version) = version {
            // The flag takes the bare version: "v1", not "authentication.k8s.io/v1".
            let bare = version.as_str().rsplit('/').next().unwrap_or_default();
            apiserver.set(VERSION_FLAG, bare);
        }
        if audit {
            audit::configure(apiserver, &folder)?;
        }
        apiserver.merge(flags);
        Ok(LabPlan {
            control_plane,
            webhook,
            assets,
            folder,
            progress,
        })
    }

    /// Starts the lab, and returns when it is ready.
    pub async fn start(self) -> Result<Lab, LabError> {
        // Boxed: both are some kilobytes large, and part of every test's future.
        let plan = Box::pin(self.plan()).await?;
        Box::pin(plan.start()).await
    }

    /// Starts a lab, runs the test in it, and stops it. When the test fails or panics, the run
    /// folder is kept and its path told.
    pub async fn run<T, E: From<LabError>>(
        self,
        test: impl AsyncFnOnce(&mut Lab) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut lab = self.start().await?;
        let outcome = AssertUnwindSafe(test(&mut lab)).catch_unwind().await;
        if !matches!(outcome, Ok(Ok(_))) {
            lab.keep();
        }
        lab.stop().await;
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Lab {
    /// A lab with every default: the mock on Kubernetes' default series.
    pub fn builder() -> LabBuilder {
        LabBuilder {
            wanted: Wanted::Default,
            webhook: WebhookSource::default(),
            version: None,
            flags: Flags::default(),
            audit: false,
            progress: Progress::hidden(),
        }
    }

    /// kubectl as the admin.
    pub fn kubectl(&self) -> Result<Kubectl, LabError> {
        self.kubectl_with("admin", self.control_plane.admin())
    }

    /// kubectl with this token, and nothing else that would tell who it is.
    pub fn kubectl_as(&self, token: &Token) -> Result<Kubectl, LabError> {
        self.kubectl_with("token", &self.token_user(token))
    }

    /// kubectl with this kubeconfig; `name` begins the name of its file in the run folder.
    pub fn kubectl_with(&self, name: &str, kubeconfig: &Kubeconfig) -> Result<Kubectl, LabError> {
        let program = &self.assets.kubectl;
        Ok(Kubectl::new(program, &self.folder, name, kubeconfig)?)
    }

    /// A `kube` client as the admin.
    pub async fn client(&self) -> Result<kube::Client, LabError> {
        client(self.control_plane.admin()).await
    }

    /// A `kube` client with this token.
    pub async fn client_as(&self, token: &Token) -> Result<kube::Client, LabError> {
        client(&self.token_user(token)).await
    }

    /// The kubeconfig of a user who shows this token.
    pub fn token_user(&self, token: &Token) -> Kubeconfig {
        self.control_plane
            .user("webhook-test", Identity::Token(token.clone()))
    }

    /// The control plane.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The control plane, to restart it with other flags.
    pub fn control_plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.control_plane
    }

    /// The webhook.
    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Its processes, and how each is.
    pub fn parts(&self) -> Vec<Part> {
        let processes = self.control_plane.parts().into_iter();
        processes.chain(self.webhook.part()).collect()
    }

    /// Resolves when a process of the lab has ended by itself: etcd, kube-apiserver, or the command
    /// that is its webhook. The error says how, and what its log says last.
    pub async fn failed(&mut self) -> LabError {
        tokio::select! {
            error = self.webhook.failed() => error.into(),
            error = self.control_plane.failed() => error.into(),
        }
    }

    /// The programs that it runs.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The run folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Has the run folder deleted when this is dropped: for an owner who is interrupted on
    /// purpose, and leaves nothing.
    pub fn discard_on_drop(&self) {
        self.folder.set_evidence(false);
    }

    /// Leaves the run folder when the lab ends, with copies in `diagnostics` that have no tokens
    /// and keys, and says so on standard error: for a failure.
    pub fn keep(&self) {
        self.folder.keep_evidence();
    }

    /// Ends it all at once. What a lab stores is of no use to anyone, so nothing waits for it.
    pub async fn stop(self) {
        let Self {
            control_plane,
            webhook,
            assets: _,
            folder,
        } = self;
        control_plane.kill().await;
        webhook.stop().await;
        folder.set_evidence(false);
    }

    /// Ends it in order: the apiserver and etcd by themselves, by force after ten seconds each.
    pub async fn end_gracefully(self) {
        let Self {
            control_plane,
            webhook,
            assets: _,
            folder,
        } = self;
        control_plane.stop().await;
        webhook.stop().await;
        folder.set_evidence(false);
    }
}

async fn client(kubeconfig: &Kubeconfig) -> Result<kube::Client, LabError> {
    let client = kubeconfig::client(kubeconfig).await;
    client.map_err(|error| LabError::Client(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lab can be started by a task of its own: this compiles.
    #[test]
    fn a_start_can_be_sent() {
        fn sent<T: Send>(_: impl FnOnce() -> T) {}
        sent(|| Lab::builder().start());
        sent(|| async {
            let mut lab = Lab::builder().start().await?;
            lab.control_plane_mut().restart(|_| {}).await?;
            lab.stop().await;
            Ok::<_, LabError>(())
        });
    }
}
