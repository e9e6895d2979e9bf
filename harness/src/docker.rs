//! Docker, by its command-line program: what all of its versions and contexts understand.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use camino::Utf8PathBuf;
use semver::Version;
use serde::Deserialize;

use crate::guardian::{Guardian, Kept};
use crate::run_folder::random_name;
use crate::tool::{Tool, ToolError};

/// What everything has that tokenlab makes in Docker.
pub(crate) const LABEL: &str = "tokenlab";

/// The oldest engine that kind's nodes run on: `--cgroupns` came with API 1.41
/// (kind, `pkg/cluster/internal/providers/docker/provision.go`, `commonArgs`).
const OLDEST_API: (u64, u64) = (1, 41);

/// An engine that does not answer a question about itself within this time is not usable.
const PATIENCE: Duration = Duration::from_secs(20);

/// The engine, and what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    tool: Tool,
    /// What the engine runs on.
    pub(crate) host: Host,
}

/// What makes nodes differ from host to host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// 1 or 2.
    pub(crate) cgroup_version: u8,
    /// Whether processes may be given `CAP_SYS_RESOURCE`. Without it no container may lower its
    /// `oom_score_adj` or raise a limit.
    pub(crate) sys_resource: bool,
}

/// Why Docker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The program is not there.
    #[error("`docker` is not on PATH")]
    Missing,
    /// The engine does not answer.
    #[error("no Docker engine answers: {said}")]
    NotRunning {
        /// What the program said.
        said: String,
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

impl From<ToolError> for DockerError {
    /// Told apart by the texts of Docker's own programs.
    fn from(error: ToolError) -> Self {
        let said = error.said();
        let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
        let last = || said.lines().next_back().unwrap_or_default().to_owned();
        match &error {
            ToolError::Missing { name: "docker" } => Self::Missing,
            _ if says(&["no space left on device"]) => Self::NoSpace { said: last() },
            _ if says(&["permission denied while trying to connect"]) => {
                Self::NotAllowed { said: last() }
            }
            _ if says(&[
                "Cannot connect to the Docker daemon",
                "error during connect",
                "failed to connect to the docker API",
            ]) =>
            {
                Self::NotRunning { said: last() }
            }
            _ if says(&["is too old. Minimum supported API version"]) => {
                Self::TooOld { has: last() }
            }
            _ => Self::Tool(error),
        }
    }
}

impl DockerError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing => {
                "install Docker Engine (https://docs.docker.com/engine/install), or use `--backend bare`, which needs no container"
            }
            Self::NotRunning { .. } => {
                "start the engine (`systemctl start docker`, or `dockerd` as root), or set DOCKER_HOST to where it listens"
            }
            Self::NotAllowed { .. } => {
                "add yourself to the group `docker` and log in anew, or run this as root"
            }
            Self::TooOld { .. } => "install Docker Engine 20.10 or newer",
            Self::NoPrivileges { said } if said.contains("operation not permitted") => {
                "this host lacks a capability that privileged containers are given (often CAP_SYS_RESOURCE): set a default runtime that drops it in /etc/docker/daemon.json"
            }
            Self::NoPrivileges { .. } => {
                "kind's nodes are privileged containers: use an engine that allows them, or `--backend bare`"
            }
            Self::NoSpace { .. } => {
                "free some space (`docker system df`, `docker system prune`); a node takes about 2 GB"
            }
            Self::Unreadable { .. } | Self::Guardian(_) | Self::Tool(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// The part of `docker version --format '{{json .Server}}'` that is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    api_version: String,
}

impl Docker {
    /// Finds the program, and asks the engine who it is.
    pub(crate) async fn check() -> Result<Self, DockerError> {
        let tool = Tool::find("docker")?;
        let args = ["version", "--format", "{{json .Server}}"];
        let server: Server = read(&tool, &args, &tool.run_within(PATIENCE, &args).await?)?;
        if api(&server.api_version).is_none_or(|api| api < OLDEST_API) {
            return Err(DockerError::TooOld {
                has: server.api_version,
            });
        }
        let args = ["info", "--format", "{{.CgroupVersion}}"];
        let cgroups = tool.run_within(PATIENCE, &args).await?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let host = Host::new(&cgroups, &status);
        Ok(Self { tool, host })
    }

    /// A program that takes Docker's part in a test.
    #[cfg(test)]
    pub(crate) fn stand_in(program: Utf8PathBuf) -> Self {
        Self {
            tool: Tool::at("docker", program),
            host: Host::new("", ""),
        }
    }

    /// The same engine, with each command line appended to a file first.
    pub(crate) fn logged(mut self, file: Utf8PathBuf) -> Self {
        self.tool = self.tool.log(file);
        self
    }

    /// The program.
    pub(crate) fn tool(&self) -> &Tool {
        &self.tool
    }

    /// Runs a command.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<String, DockerError> {
        Ok(self.tool.run(args).await?)
    }

    /// The value of an image's label; `None` when there is no such image, empty without the label.
    pub(crate) async fn image_label(
        &self,
        image: &str,
        label: &str,
    ) -> Result<Option<String>, DockerError> {
        let format = format!("{{{{index .Config.Labels {label:?}}}}}");
        let args = ["image", "inspect", "--format", &format, image];
        match self.tool.run(&args).await {
            Ok(value) => Ok(Some(value.trim().to_owned())),
            Err(error) if error.said().contains("No such image") => Ok(None),
            Err(error) if error.said().contains("nil") => Ok(Some(String::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts a privileged container that does nothing, to work in.
    pub(crate) async fn workbench(&self, image: &str) -> Result<Owned, DockerError> {
        let container = Owned::announce(Kept::Container, format!("tokenlab-{}", random_name()))?;
        let label = format!("{LABEL}=workbench");
        let args = [
            "run",
            "--detach",
            "--privileged",
            "--network=none",
            "--label",
            &label,
            "--name",
            container.name(),
            "--entrypoint=sleep",
            image,
            "infinity",
        ];
        match self.run(&args).await {
            Ok(_) => Ok(container),
            Err(DockerError::Tool(error)) => Err(DockerError::NoPrivileges {
                said: error
                    .said()
                    .lines()
                    .next_back()
                    .unwrap_or_default()
                    .to_owned(),
            }),
            Err(error) => Err(error),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(
    tool: &Tool,
    args: &[&str],
    answer: &str,
) -> Result<T, DockerError> {
    serde_json::from_str(answer).map_err(|source| DockerError::Unreadable {
        command: tool.line(args),
        source,
    })
}

/// `1.41` as two numbers.
fn api(text: &str) -> Option<(u64, u64)> {
    let Version { major, minor, .. } = Version::parse(&format!("{}.0", text.trim())).ok()?;
    Some((major, minor))
}

impl Host {
    /// By the engine's `CgroupVersion`, and by `/proc/self/status` of a process here: what the
    /// bounding set lacks, no child can be given (`capabilities(7)`).
    fn new(cgroups: &str, status: &str) -> Self {
        const CAP_SYS_RESOURCE: u32 = 24;
        let bounding = status
            .lines()
            .find_map(|line| line.strip_prefix("CapBnd:"))
            .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
        Self {
            cgroup_version: if cgroups.trim() == "1" { 1 } else { 2 },
            sys_resource: bounding.is_none_or(|bits| bits >> CAP_SYS_RESOURCE & 1 == 1),
        }
    }
}

/// Something in Docker that goes with its owner.
#[derive(Debug)]
pub(crate) struct Owned {
    kept: Kept,
    name: String,
    guardian: &'static Guardian,
}

impl Owned {
    /// Tells the guardian of what is about to be made.
    pub(crate) fn announce(kept: Kept, name: String) -> Result<Self, DockerError> {
        let told = Guardian::get().and_then(|guardian| {
            guardian.kept(kept, &name)?;
            Ok(guardian)
        });
        let guardian = told.map_err(DockerError::Guardian)?;
        Ok(Self {
            kept,
            name,
            guardian,
        })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Removes it, without holding up the other tasks of this thread.
    pub(crate) async fn remove(self) {
        // Dropping is what removes it.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let args: &[&str] = match self.kept {
            Kept::Container => &["rm", "--force", "--volumes"],
            Kept::Network => &["network", "rm"],
        };
        let removed = Command::new("docker")
            .args(args)
            .arg(&self.name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // What could not be removed is the guardian's.
        if removed.is_ok_and(|status| status.success()) {
            let _ = self.guardian.gone(self.kept, &self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `/proc/self/status` on an ordinary host, and on one that lacks a capability.
    const ALL: &str = "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nCapAmb:\t0\n";
    const FEWER: &str = "CapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n";

    #[test]
    fn hosts_are_told_apart() {
        let host = |cgroup_version, sys_resource| Host {
            cgroup_version,
            sys_resource,
        };
        assert_eq!(Host::new("2\n", ALL), host(2, true));
        assert_eq!(Host::new("1\n", FEWER), host(1, false));
        // Where nothing is known, the host is an ordinary one.
        assert_eq!(Host::new("", ""), host(2, true));
    }

    #[test]
    fn versions_of_the_api_are_compared_as_numbers() {
        assert!(api("1.41") >= Some(OLDEST_API));
        assert!(api("1.50") > api("1.6"));
        assert_eq!(api("new"), None);
    }
}
