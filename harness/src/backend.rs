//! What a lab runs on.

mod mock_lab;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::assets::{AssetsError, SettingError, Sources, Wanted};
use crate::cluster::ClusterError;
use crate::docker::{Docker, DockerError};
use crate::k3s;
use crate::progress::Progress;

pub use mock_lab::{MockLab, MockLabError};

/// The environment variable that names the backend of tests and of the demo.
pub const BACKEND: &str = "LAB_BACKEND";

/// What a lab runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// etcd and kube-apiserver as processes: no container needed
    // The empty alias: a variable that is set but empty counts as not set.
    #[default]
    #[cfg_attr(feature = "cli", value(alias = ""))]
    Bare,
    /// A cluster of one node by kind, the webhook deployed in it: needs Docker
    Kind,
    /// k3s in a container, the webhook deployed in it: needs Docker and an image of k3s
    #[cfg_attr(feature = "cli", value(name = "k3s"))]
    K3s,
    /// A cluster that is yours, by --kubeconfig: the webhook is deployed in it, no flag is touched
    Existing,
}

/// There is no such backend.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no backend: there are `bare`, `kind`, `k3s` and `existing`")]
pub struct UnknownBackend {
    text: String,
}

/// What this machine lacks for a backend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Docker cannot be used.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// A setting is malformed.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

impl BackendError {
    /// The remedy.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Docker(error) => error.hint(),
            Self::Setting(error) => error.hint(),
        }
    }
}

impl Backend {
    /// Looks for what this machine lacks, before anything is started.
    pub async fn check(self) -> Result<(), BackendError> {
        Sources::from_env()?;
        match self {
            Self::Bare | Self::Existing => Ok(()),
            Self::Kind | Self::K3s => Ok(Docker::check().await.map(drop)?),
        }
    }

    /// Fails with [`K3sError::NoImage`](crate::K3sError::NoImage) when a lab needs an image of k3s that is neither here nor in
    /// a registry: what a test is skipped for. Nothing is pulled.
    pub async fn has_its_image(self, wanted: &Wanted) -> Result<(), ClusterError> {
        match self {
            // kind's node is made here.
            Self::Bare | Self::Kind | Self::Existing => Ok(()),
            Self::K3s => {
                let docker = Docker::check().await?;
                let sources = Sources::from_env().map_err(AssetsError::from)?;
                let assets = sources.ensure(wanted, &Progress::hidden()).await?;
                Ok(k3s::has_image(&docker, &assets.version).await?)
            }
        }
    }

    /// The backend that `LAB_BACKEND` names; the bare one when it names none.
    pub fn from_env() -> Result<Self, UnknownBackend> {
        std::env::var(BACKEND).unwrap_or_default().parse()
    }

    /// Whether the webhook is served by the lab's owner, who can script it. On a real cluster
    /// it is the product's image, and knows everybody as the mock.
    pub fn scripts_its_webhook(self) -> bool {
        match self {
            Self::Bare => true,
            Self::Kind | Self::K3s | Self::Existing => false,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bare => "bare",
            Self::Kind => "kind",
            Self::K3s => "k3s",
            Self::Existing => "existing",
        })
    }
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        match text {
            "" | "bare" => Ok(Self::Bare),
            "kind" => Ok(Self::Kind),
            "k3s" => Ok(Self::K3s),
            "existing" => Ok(Self::Existing),
            text => Err(UnknownBackend {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_read_as_they_are_written() {
        for backend in [
            Backend::Bare,
            Backend::Kind,
            Backend::K3s,
            Backend::Existing,
        ] {
            assert_eq!(backend.to_string().parse::<Backend>().ok(), Some(backend));
        }
        let error = "docker".parse::<Backend>().expect_err("must be unknown");
        assert_eq!(
            error.to_string(),
            "`docker` is no backend: there are `bare`, `kind`, `k3s` and `existing`"
        );
    }
}
