//! Why Docker cannot be used.

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::OLDEST_API;
use crate::tool::ToolError;

/// Why Docker cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerError {
    /// The program is not there.
    #[error("`docker` is not on PATH")]
    Missing,
    /// The engine cannot be reached.
    #[error("no Docker engine answers: {said}")]
    NotRunning {
        /// What the program said.
        said: String,
    },
    /// The engine takes the question, and gives no answer.
    #[error("the Docker engine gives no answer within {within:?}")]
    Silent {
        /// How long it was waited for.
        within: Duration,
    },
    /// The user may not talk to it.
    #[error("the Docker engine refuses this user: {said}")]
    NotAllowed {
        /// What the program said.
        said: String,
    },
    /// It is too old for kind.
    #[error("the Docker engine speaks API {has}, and kind needs {}.{}", OLDEST_API.0, OLDEST_API.1)]
    TooOld {
        /// The newest API that it speaks.
        has: String,
    },
    /// The program and the engine have no version of the API in common.
    #[error("`docker` and its engine have no version of the API in common: {said}")]
    Apart {
        /// What the program said.
        said: String,
    },
    /// It runs on another machine.
    #[error(
        "the Docker engine is on another machine ({host}), where its clusters cannot be reached"
    )]
    Elsewhere {
        /// The machine.
        host: String,
    },
    /// It refuses privileged containers.
    #[error("the Docker engine refuses privileged containers: {said}")]
    NoPrivileges {
        /// What it said.
        said: String,
    },
    /// There is no space left for it.
    #[error("the Docker engine has no space left: {said}")]
    NoSpace {
        /// What it said.
        said: String,
    },
    /// There is too little space left to begin.
    #[error(
        "the Docker engine has {} left in `{folder}`, and {} are needed",
        gigabytes(*free),
        gigabytes(*needed)
    )]
    LittleSpace {
        /// The engine's folder.
        folder: Utf8PathBuf,
        /// How many bytes are free there.
        free: u64,
        /// How many are needed.
        needed: u64,
    },
    /// It has no addresses left for another network.
    #[error("the Docker engine has no addresses left for another network: {said}")]
    NoNetwork {
        /// What it said.
        said: String,
    },
    /// What is to be removed is in use.
    #[error("what is to be removed is in use: {said}")]
    InUse {
        /// What it said.
        said: String,
    },
    /// Its answer is not understood.
    #[error("`{command}` gave an unreadable answer")]
    Unreadable {
        /// The command line.
        command: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The guardian, who removes what is left, could not be told.
    #[error("the guardian could not be told")]
    Guardian(#[source] io::Error),
    /// A command failed.
    #[error(transparent)]
    Tool(ToolError),
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// What a line means.
type Meaning = fn(String) -> DockerError;

/// What the programs `docker` say, and what it means. The texts are those of Docker CLI 20.10 to
/// 29 and of its engines; the first that fits counts.
const MEANINGS: [(&[&str], Meaning); 7] = [
    (
        &["no space left on device", "disk quota exceeded"],
        |said| DockerError::NoSpace { said },
    ),
    (
        &[
            "permission denied while trying to connect",
            "dial unix /var/run/docker.sock: connect: permission denied",
        ],
        |said| DockerError::NotAllowed { said },
    ),
    (
        &[
            "Cannot connect to the Docker daemon",
            "error during connect",
            "failed to connect to the docker API",
            "unable to resolve docker endpoint",
        ],
        |said| DockerError::NotRunning { said },
    ),
    (
        &[
            "Minimum supported API version",
            "Maximum supported API version",
        ],
        |said| DockerError::Apart { said },
    ),
    (
        // runc where the host lacks a capability, an engine with `userns-remap` whose program
        // does not know `--userns=host`, an authorization plugin.
        &[
            "unable to apply caps: operation not permitted",
            "privileged mode is incompatible with user namespaces",
            "authorization denied by plugin",
        ],
        |said| DockerError::NoPrivileges { said },
    ),
    (
        &["is using its referenced image", "is being used by"],
        |said| DockerError::InUse { said },
    ),
    (
        &[
            "could not find an available",
            "all predefined address pools",
        ],
        |said| DockerError::NoNetwork { said },
    ),
];

impl From<ToolError> for DockerError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Missing { name: "docker" } => return Self::Missing,
            ToolError::TimedOut { within, .. } => return Self::Silent { within },
            _ => {}
        }
        Self::meant(error.said()).unwrap_or(Self::Tool(error))
    }
}

impl DockerError {
    /// What Docker means by this, which kind passes on as well.
    pub(crate) fn meant(said: &str) -> Option<Self> {
        MEANINGS.iter().find_map(|(texts, meaning)| {
            // The line that says so: around it stand warnings, and advice to read the help.
            let is = |line: &&str| texts.iter().any(|text| line.contains(text));
            let line = said.lines().find(is)?;
            Some(meaning(line.trim().to_owned()))
        })
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing => {
                "install Docker Engine (https://docs.docker.com/engine/install), or use `--backend bare`, which needs no container"
            }
            Self::NotRunning { said } if said.contains("context not found") => {
                "name a context that there is (`docker context ls`), or unset DOCKER_CONTEXT"
            }
            Self::NotRunning { .. } => {
                "start the engine (`systemctl start docker`, or `dockerd` as root), or set DOCKER_HOST to where it listens"
            }
            Self::Silent { .. } => {
                "restart the engine (`systemctl restart docker`); its log (`journalctl -u docker`) tells what it waits for"
            }
            Self::NotAllowed { .. } => {
                "add yourself to the group `docker` and log in anew, or run this as root"
            }
            Self::TooOld { .. } => "install Docker Engine 20.10 or newer",
            Self::Apart { .. } => {
                "update the older of the two (`docker version` shows both); where DOCKER_API_VERSION is set, unset it"
            }
            Self::Elsewhere { .. } => {
                "run this on that machine, or use an engine of this one (`docker context use default`, DOCKER_HOST unset)"
            }
            Self::NoPrivileges { said } if said.contains("apply caps") => {
                "this host lacks a capability that privileged containers are given (often CAP_SYS_RESOURCE): set a default runtime that drops it in /etc/docker/daemon.json"
            }
            Self::NoPrivileges { .. } => {
                "kind's nodes are privileged containers: use an engine that allows them, or `--backend bare`"
            }
            Self::NoSpace { .. } | Self::LittleSpace { .. } => {
                "free some space: `docker system df` shows what takes it, `docker system prune` removes what nobody uses"
            }
            Self::NoNetwork { .. } => "remove networks that nobody uses (`docker network prune`)",
            Self::InUse { .. } => {
                "end what uses it first: `docker ps --all` shows containers, `kind delete cluster --name …` ends a cluster"
            }
            Self::Unreadable { .. } => {
                "`docker` must be Docker's own program: that of Podman answers otherwise"
            }
            Self::Guardian(_) | Self::Tool(_) => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Tool;

    /// What comes of a docker that says this, the way that it says it.
    async fn of(said: &str) -> DockerError {
        let tool = Tool::find("sh").expect("must be on PATH");
        let script = format!("cat >&2 <<'EOT'\n{said}\nEOT\nexit 1");
        let error = tool.run(&["-c", &script]).await;
        error.expect_err("must fail").into()
    }

    #[tokio::test]
    async fn the_line_that_tells_is_told() {
        let error = of(
            "WARNING: Error loading config file: open /x/config.json: permission denied\n\
             permission denied while trying to connect to the Docker daemon socket at unix:///s",
        )
        .await;
        assert_eq!(
            error.to_string(),
            "the Docker engine refuses this user: permission denied while trying to connect to the Docker daemon socket at unix:///s"
        );
        let error = of(
            "docker: Error response from daemon: failed to create shim task: OCI runtime create \
             failed: unable to apply caps: operation not permitted: unknown\n\n\
             Run 'docker run --help' for more information",
        )
        .await;
        assert!(matches!(&error, DockerError::NoPrivileges { said } if said.contains("caps")));
        assert!(error.hint().is_some_and(|hint| hint.contains("CAP_SYS")));
    }

    #[tokio::test]
    async fn an_engine_without_addresses_is_told_what_to_remove() {
        let error = of(
            "Error response from daemon: all predefined address pools have been fully subnetted",
        )
        .await;
        assert!(matches!(error, DockerError::NoNetwork { .. }), "{error}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("network prune"))
        );
    }

    #[tokio::test]
    async fn a_failure_is_not_taken_for_another() {
        // A container may print this, and the engine allows it all the same.
        let error = of("mount: /proc: operation not permitted").await;
        assert!(matches!(error, DockerError::Tool(_)), "{error}");
        assert_eq!(error.hint(), None);
    }

    #[tokio::test]
    async fn programs_and_engines_of_different_age_are_told_apart_from_old_ones() {
        for said in [
            "Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
            "Error response from daemon: client version 1.52 is too new. Maximum supported API version is 1.41",
        ] {
            let error = of(said).await;
            assert!(matches!(error, DockerError::Apart { .. }), "{error}");
        }
    }
}
