//! Docker, by its command-line program: what all of its versions and contexts understand.

mod error;
mod owned;

use std::net::IpAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use semver::Version;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::guardian::EngineObject;
use crate::owner::Owner;
use crate::run_folder::random_name;
use crate::tool::Tool;

pub use error::DockerError;
pub(crate) use owned::Owned;

/// The label of everything that tokenlab makes in Docker.
pub(crate) const LABEL: &str = "tokenlab";

/// The label that names the owner of what is made in Docker: where there is none, an older version
/// made it, or kind did, whose node is in a network that has the label.
pub(crate) const OWNER_LABEL: &str = "tokenlab.owner";

/// `--label` with this process as the owner.
pub(crate) fn owner_label() -> String {
    format!("--label={OWNER_LABEL}={}", Owner::current())
}

/// The oldest engine that kind's nodes run on: `--cgroupns` came with API 1.41
/// (kind, `pkg/cluster/internal/providers/docker/provision.go`, `commonArgs`).
const OLDEST_API: (u64, u64) = (1, 41);

/// An engine that does not answer a question about itself within this time is not usable.
const PATIENCE: Duration = Duration::from_secs(20);

/// The engine, and what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    tool: Tool,
    info: Info,
    /// What its containers run on.
    pub(crate) host: Host,
}

/// What makes nodes differ from host to host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// 1 or 2.
    pub(crate) cgroup_version: u8,
    /// Whether privileged containers are given `CAP_SYS_RESOURCE`. Without it nothing in them may
    /// lower its `oom_score_adj` or raise a limit.
    pub(crate) sys_resource: bool,
}

/// The part of `docker version --format '{{json .Server}}'` that is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    api_version: String,
}

/// The part of `docker info --format '{{json .}}'` that is needed. What an engine leaves out is
/// empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    cgroup_version: String,
    docker_root_dir: Utf8PathBuf,
    /// The name of the machine that it runs on.
    name: String,
}

impl Docker {
    /// Finds the program, and asks the engine who it is.
    pub(crate) async fn check() -> Result<Self, DockerError> {
        Self::check_at(Tool::find("docker")?, PATIENCE).await
    }

    async fn check_at(tool: Tool, within: Duration) -> Result<Self, DockerError> {
        let server: Server = ask(&tool, within, "version", "{{json .Server}}").await?;
        if api(&server.api_version).is_none_or(|api| api < OLDEST_API) {
            return Err(DockerError::TooOld {
                has: server.api_version,
            });
        }
        let info: Info = ask(&tool, within, "info", "{{json .}}").await?;
        let host = Host {
            cgroup_version: if info.cgroup_version == "1" { 1 } else { 2 },
            // As on most; `probed` asks.
            sys_resource: true,
        };
        Ok(Self { tool, info, host })
    }

    /// Runs a container of this image as kind runs a node, to see whether the engine allows it and
    /// what such a container is given. What this process has says nothing of that: it may be in a
    /// container itself, with the engine's socket and few rights.
    pub(crate) async fn probed(mut self, image: &str) -> Result<Self, DockerError> {
        self.is_near().await?;
        let container = container()?;
        let args = privileged(&container, "probe", &["--entrypoint=cat"]);
        let command = [image, "/proc/self/status"].map(str::to_owned);
        let args = [args, command.to_vec()].concat();
        let status = self.run(&words(&args)).await;
        container.remove().await;
        self.host.sys_resource = has_sys_resource(&status?);
        Ok(self)
    }

    /// Fails when the engine is reached over the network: a cluster's port is published on the
    /// loopback address of the engine's machine, which is another one. Returns where it listens.
    pub(crate) async fn is_near(&self) -> Result<String, DockerError> {
        let args = [
            "context",
            "inspect",
            "--format",
            "{{.Endpoints.docker.Host}}",
        ];
        let address = self.run(&args).await?;
        let address = address.trim();
        match elsewhere(address) {
            Some(host) => Err(DockerError::Elsewhere { host }),
            None => Ok(address.to_owned()),
        }
    }

    /// Fails when it is known that less than this many bytes are free for the engine. Nothing is
    /// known of an engine on another machine, which the name of its machine tells.
    pub(crate) fn room_for(&self, needed: u64) -> Result<(), DockerError> {
        let Info {
            docker_root_dir: folder,
            name,
            ..
        } = &self.info;
        let here = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        if name.is_empty() || here.trim() != name {
            return Ok(());
        }
        match nix::sys::statvfs::statvfs(folder.as_std_path()) {
            Ok(disk) => {
                let free = disk.blocks_available() * disk.fragment_size();
                if free < needed {
                    return Err(DockerError::LittleSpace {
                        folder: folder.clone(),
                        free,
                        needed,
                    });
                }
                Ok(())
            }
            Err(_unknown) => Ok(()),
        }
    }

    /// A program that takes Docker's part in a test.
    #[cfg(test)]
    pub(crate) fn stand_in(program: Utf8PathBuf) -> Self {
        Self {
            tool: Tool::at("docker", program),
            info: Info::default(),
            host: Host {
                cgroup_version: 2,
                sys_resource: true,
            },
        }
    }

    /// The same engine, for what is asked again and again.
    pub(crate) fn unlogged(&self) -> Self {
        let mut docker = self.clone();
        docker.tool = docker.tool.unlogged();
        docker
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
        let format = "{{json .Config.Labels}}";
        let args = ["image", "inspect", "--format", format, "--", image];
        match self.tool.run(&args).await {
            Ok(answer) => {
                let labels: serde_json::Value = read(&self.tool, &args, &answer)?;
                Ok(Some(labels[label].as_str().unwrap_or_default().to_owned()))
            }
            Err(error) if error.said().contains("No such image") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts a privileged container that does nothing, to work in.
    pub(crate) async fn workbench(&self, image: &str) -> Result<Owned, DockerError> {
        let container = container()?;
        let mut args = privileged(&container, "workbench", &["--detach", "--entrypoint=sleep"]);
        args.extend([image, "infinity"].map(str::to_owned));
        self.run(&words(&args)).await?;
        Ok(container)
    }
}

/// A name for a container that is about to be made.
fn container() -> Result<Owned, DockerError> {
    Owned::announce(
        EngineObject::Container,
        format!("tokenlab-{}", random_name()),
    )
}

/// `docker run` as kind does it for a node, up to the image. With user namespaces turned on in
/// the engine, privileged containers are those in the host's (kind,
/// `pkg/cluster/internal/providers/docker/provision.go`, `usernsRemap`).
fn privileged(container: &Owned, what_for: &str, more: &[&str]) -> Vec<String> {
    let label = format!("--label={LABEL}={what_for}");
    let name = format!("--name={}", container.name());
    let args = ["run", "--privileged", "--userns=host", "--network=none"];
    let args = args.iter().chain(more).map(|word| (*word).to_owned());
    args.chain([label, owner_label(), name]).collect()
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

async fn ask<T: DeserializeOwned>(
    tool: &Tool,
    within: Duration,
    what: &str,
    format: &str,
) -> Result<T, DockerError> {
    let args = [what, "--format", format];
    read(tool, &args, &tool.run_within(within, &args).await?)
}

fn read<T: DeserializeOwned>(tool: &Tool, args: &[&str], answer: &str) -> Result<T, DockerError> {
    serde_json::from_str(answer).map_err(|source| DockerError::Unreadable {
        command: tool.line(args),
        source,
    })
}

/// The machine of an engine that is not on this one; by its name alone, for an address may hold
/// a user and a password.
fn elsewhere(address: &str) -> Option<String> {
    let address = Url::parse(address).ok()?;
    let loopback = match address.host()? {
        url::Host::Domain(name) => {
            let ip = name.parse::<IpAddr>();
            name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
        }
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    (!loopback).then(|| address.host_str().unwrap_or_default().to_owned())
}

/// `1.41` as two numbers.
fn api(text: &str) -> Option<(u64, u64)> {
    let Version { major, minor, .. } = Version::parse(&format!("{}.0", text.trim())).ok()?;
    Some((major, minor))
}

/// By `/proc/self/status`: what the bounding set lacks, nothing below can be given
/// (`capabilities(7)`). Where nothing is known, the host is an ordinary one.
fn has_sys_resource(status: &str) -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    bounding.is_none_or(|bits| bits >> CAP_SYS_RESOURCE & 1 == 1)
}

#[cfg(test)]
pub(crate) mod tests;
