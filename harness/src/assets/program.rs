//! One program: its names, whether its file is usable, and its version.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use camino::Utf8Path;
use semver::Version;
use tokio::process::Command;

/// The programs of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    KubeApiserver,
    /// kubectl.
    Kubectl,
}

impl Program {
    /// All of them. kube-apiserver is last: where files are moved one by one, it goes in at the end.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::Kubectl, Self::KubeApiserver];

    /// The name of its file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Kubectl => "kubectl",
        }
    }

    /// The environment variable that names it.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Etcd => "TEST_ASSET_ETCD",
            Self::KubeApiserver => "TEST_ASSET_KUBE_APISERVER",
            Self::Kubectl => "TEST_ASSET_KUBECTL",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a file is no program.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is nothing at that path.
    #[error("is not there")]
    Missing,
    /// A folder, a socket…
    #[error("is not a file")]
    NotAFile,
    /// No execute bit.
    #[error("is not executable")]
    NotExecutable,
    /// It cannot be looked at.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
}

/// Looks at a path that should be a program.
pub(super) fn check(path: &Utf8Path) -> Result<(), Fault> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Fault::Missing),
        Err(error) => return Err(Fault::Unreadable(error)),
    };
    if !metadata.is_file() {
        Err(Fault::NotAFile)
    } else if metadata.permissions().mode() & 0o111 == 0 {
        Err(Fault::NotExecutable)
    } else {
        Ok(())
    }
}

/// Those of the programs that a folder does not have, each with what is wrong with it.
pub(super) fn lacking(folder: &Utf8Path, programs: &[Program]) -> Vec<(Program, Fault)> {
    programs
        .iter()
        .filter_map(|program| Some((*program, check(&folder.join(program.name())).err()?)))
        .collect()
}

/// Why the version of a kube-apiserver is unknown.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// It could not be started.
    #[error("`{path} --version` did not start")]
    Spawn {
        /// The program.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It gave no answer in time.
    #[error("`{path} --version` gave no answer within {within:?}")]
    TimedOut {
        /// The program.
        path: String,
        /// How long it was given.
        within: Duration,
    },
    /// It failed.
    #[error("`{path} --version` ended with {status}: {output}")]
    Failed {
        /// The program.
        path: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its error output.
        output: String,
    },
    /// It answered something else than `Kubernetes v1.37.2`.
    #[error(
        "`{path} --version` answered `{output}` instead of a line such as `Kubernetes v1.37.2`"
    )]
    Unreadable {
        /// The program.
        path: String,
        /// What it answered.
        output: String,
    },
}

/// Asks a kube-apiserver for its version; `kube-apiserver --version` prints `Kubernetes v1.37.2`.
pub(super) async fn version(path: &Utf8Path, within: Duration) -> Result<Version, VersionError> {
    let name = || path.to_string();
    let output = tokio::time::timeout(within, answer(path))
        .await
        .map_err(|_| VersionError::TimedOut {
            path: name(),
            within,
        })?
        .map_err(|source| VersionError::Spawn {
            path: name(),
            source,
        })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(VersionError::Failed {
            path: name(),
            status: output.status,
            output: text,
        });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| Version::parse(line.trim().strip_prefix("Kubernetes v")?).ok())
        .ok_or_else(|| VersionError::Unreadable {
            path: name(),
            output: text.trim().to_owned(),
        })
}

async fn answer(path: &Utf8Path) -> io::Result<Output> {
    loop {
        let output = Command::new(path)
            .arg("--version")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        match output {
            // A file that was just written: a child that another thread forked meanwhile still has
            // it open, until that child executes its own program.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}
