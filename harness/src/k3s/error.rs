//! Why there is no k3s, or no webhook wired into it.

use std::io;

use camino::Utf8PathBuf;

use super::IMAGE;
use super::config::PATH;
use crate::assets::chain;
use crate::docker::DockerError;

/// Why there is no k3s, or no webhook wired into it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum K3sError {
    /// A command failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// This crate was compiled without its feature `k3s`.
    #[error("this build of tokenlab-harness has no k3s")]
    LeftOut,
    /// There is no image of k3s.
    #[error("there is no image `{image}`, and no registry gives it: {said}")]
    NoImage {
        /// The image.
        image: String,
        /// What Docker said.
        said: String,
    },
    /// The image is another one.
    #[error("`{image}` is no image of k3s: its `--version` says: {said}")]
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
    /// A file for the container cannot be read.
    #[error("`{path}` could not be read")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
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
        source: Box<dyn std::error::Error + Send + Sync>,
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
    /// The webhook is to run, and no image was loaded for that.
    #[error("no image of the webhook was loaded since it was deployed")]
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
            Self::LeftOut => Some("compile it with its feature `k3s`".to_owned()),
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
            Self::RolledBack { reason: said } | Self::NotBack { after: said, .. } => {
                Some(of_docker(said).unwrap_or_else(|| {
                    "the lines above are k3s' own: it ends when the file that the flag names is missing or not a kubeconfig".to_owned()
                }))
            }
            Self::Container { source, .. } => of_docker(&chain(&**source)),
            Self::NotReady { .. }
            | Self::Read { .. }
            | Self::NoPort(_)
            | Self::NotLoaded
            | Self::Subnet { .. }
            | Self::Config(_) => None,
        }
    }
}

/// The way out of what Docker says, whether by its program or by testcontainers.
fn of_docker(said: &str) -> Option<String> {
    if is_port_taken(said) {
        return Some(
            "end what listens on that port (`ss -ltnp` shows it), or try again".to_owned(),
        );
    }
    DockerError::meant(said)?.hint()
}

/// Whether Docker says that another has the port of this machine that it was told to publish. The
/// texts are those of engines 20.10 to 29.
pub(super) fn is_port_taken(said: &str) -> bool {
    let texts = [
        "port is already allocated",
        "starting userland proxy: listen",
        "failed to bind host port",
    ];
    texts.iter().any(|text| said.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(said: &str) -> Option<String> {
        let source = said.into();
        let log = String::new();
        K3sError::Container { log, source }.hint()
    }

    #[test]
    fn what_docker_says_of_a_container_has_a_way_out() {
        let of = |said: &str, way: &str| {
            let hint = hint(said);
            assert!(
                hint.as_ref().is_some_and(|hint| hint.contains(way)),
                "{hint:?}"
            );
        };
        let port = "driver failed programming external connectivity on endpoint x (1): ";
        for why in [
            "Bind for 127.0.0.1:1 failed: port is already allocated",
            "Error starting userland proxy: listen tcp4 127.0.0.1:1: bind: address already in use",
            "failed to bind host port 127.0.0.1:1/tcp: address already in use",
        ] {
            of(&format!("{port}{why}"), "listens on that port");
        }
        of("mkdir /x: no space left on device", "docker system df");
        of("unable to apply caps: operation not permitted", "CAP_SYS");
        assert_eq!(hint("something new"), None);
    }

    #[test]
    fn what_docker_says_of_a_restart_is_not_called_that_of_k3s() {
        let reason = "no such file".to_owned();
        let after = "`docker start a`: port is already allocated".to_owned();
        let hint = K3sError::NotBack { reason, after }.hint();
        assert!(hint.is_some_and(|hint| hint.contains("listens on that port")));
    }
}
