//! A cluster that is somebody else's, looked at from outside.

use camino::{Utf8Path, Utf8PathBuf};

use super::access::Access;
use super::target::target;
use super::{ExistingCluster, ExistingError};
use crate::diagnosis::{Diagnosis, Eyes, Shown, diagnose};
use crate::kubectl::Kubectl;
use crate::run_folder::RunFolder;
use crate::tool::Tool;

/// A cluster that is somebody else's, which is asked and not touched. Its apiserver's flags and log
/// cannot be seen.
#[derive(Debug)]
pub struct Outside {
    program: Utf8PathBuf,
    access: Access,
    config: Option<Utf8PathBuf>,
    folder: RunFolder,
}

impl Outside {
    /// The cluster of this kubeconfig, by the user's kubectl; `config` is the file by which its
    /// apiserver reaches the webhook, or a copy of that.
    pub async fn of(
        cluster: &ExistingCluster,
        config: Option<&Utf8Path>,
    ) -> Result<Self, ExistingError> {
        cluster.can_be_read()?;
        let kubectl = Tool::find("kubectl").map_err(|_| ExistingError::NoKubectl)?;
        Ok(Self {
            program: kubectl.program().to_owned(),
            access: Access::read(&kubectl, &target(cluster)?).await?,
            config: config.map(Utf8Path::to_owned),
            folder: RunFolder::create()?,
        })
    }

    /// What the user of the kubeconfig shows: a token, a client certificate, or both.
    pub fn shown(&self) -> Shown {
        self.access.shows()
    }

    /// Makes one request, and says what came of it and why. Where it is refused and the webhook was not
    /// asked, a second one shows a token that nobody has: it tells whether the webhook ever is.
    pub async fn diagnose(&self, shown: &Shown) -> Diagnosis {
        diagnose(Eyes::Outside(self), shown).await
    }

    pub(crate) fn kubectl(&self) -> Result<Kubectl, ExistingError> {
        self.with(&self.access.admin())
    }

    pub(crate) fn kubectl_of(&self, shown: &Shown) -> Result<Kubectl, ExistingError> {
        self.with(&self.access.shown(shown))
    }

    fn with(&self, kubeconfig: &str) -> Result<Kubectl, ExistingError> {
        let kubectl = Kubectl::of_file(&self.program, &self.folder, "doctor", kubeconfig);
        Ok(kubectl?)
    }

    pub(crate) fn webhook_config(&self) -> Option<&Utf8PathBuf> {
        self.config.as_ref()
    }

    pub(crate) fn folder(&self) -> &RunFolder {
        &self.folder
    }
}
