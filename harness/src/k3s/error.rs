//! Why there is no k3s, or no webhook wired into it.

use std::io;

use testcontainers::TestcontainersError;

use super::IMAGE;
use super::config::PATH;
use crate::docker::DockerError;

/// Why there is no k3s, or no webhook wired into it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum K3sError {
    /// A command failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// There is no image of k3s.
    #[error("there is no image `{image}`, and no registry gives it: {said}")]
    NoImage {
        /// The image.
        image: String,
        /// What Docker said.
        said: String,
    },
    /// The image is another one.
    #[error("`{image}` is no image of k3s: its `--version` says `{said}`")]
    NotK3s {
        /// The image.
        image: String,
        /// What it said.
        said: String,
    },
    /// `docker` and testcontainers would talk to two engines.
    #[error("docker's context names the engine at {endpoint}, which DOCKER_HOST does not")]
    Context {
        /// Where it listens.
        endpoint: String,
    },
    /// No port of this machine is free.
    #[error("no port on 127.0.0.1 is free for the apiserver")]
    NoPort(#[source] io::Error),
    /// The container was not made, or k3s ended in it.
    #[error("k3s does not run in its container{log}")]
    Container {
        /// The end of its log, on lines of its own.
        log: String,
        /// What testcontainers said.
        #[source]
        source: Box<TestcontainersError>,
    },
    /// It runs, and is not what it shall be.
    #[error("k3s did not come: {seen}{log}")]
    NotReady {
        /// What was last seen.
        seen: String,
        /// The end of its log, on lines of its own.
        log: String,
    },
    /// The network's addresses are not understood.
    #[error("the network's subnet `{subnet}` is none of IPv4")]
    Subnet {
        /// What Docker said.
        subnet: String,
    },
    /// Without an agent there is no Service, and so no address to choose.
    #[error("k3s without its agent has no Services: the webhook's address cannot be chosen")]
    NoService,
    /// The webhook is to run, and its image was not loaded.
    #[error("the webhook's image is not loaded, or it runs already")]
    NotLoaded,
    /// Its configuration cannot be edited.
    #[error("`{PATH}` is not a configuration of k3s")]
    Config(#[source] Box<serde_saphyr::Error>),
    /// The apiserver did not come back; the configuration is as it was, and k3s with it.
    #[error("kube-apiserver did not come back with the new flag, so all is as it was: {reason}")]
    RolledBack {
        /// What it did instead.
        reason: String,
    },
    /// It did not come back with the old configuration either.
    #[error(
        "kube-apiserver did not come back with the new flag ({reason}), nor with the old ones: {after}"
    )]
    NotBack {
        /// What it did with the new flag.
        reason: String,
        /// What it did after that.
        after: String,
    },
}

impl K3sError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Docker(error) => error.hint(),
            Self::NoImage { image, .. } => Some(format!(
                "`docker pull {image}`, or set {IMAGE} to an image of k3s that is here (`docker images`)"
            )),
            Self::NotK3s { .. } => Some(format!(
                "set {IMAGE} to an image like `rancher/k3s:v1.37.2-k3s1`"
            )),
            Self::Context { endpoint } => Some(format!(
                "set it: `export DOCKER_HOST={endpoint}`; testcontainers does not know contexts"
            )),
            Self::NoService => Some("leave `--service-address` out".to_owned()),
            Self::RolledBack { reason } if reason.contains("unknown flag") => {
                Some("this version of kube-apiserver does not have that flag".to_owned())
            }
            Self::RolledBack { .. } | Self::NotBack { .. } => Some(
                "the lines above are k3s' own: it ends when the file that the flag names is missing or not a kubeconfig".to_owned(),
            ),
            Self::Container { .. }
            | Self::NotReady { .. }
            | Self::NoPort(_)
            | Self::NotLoaded
            | Self::Subnet { .. }
            | Self::Config(_) => None,
        }
    }
}
