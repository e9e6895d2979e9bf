//! Starting a named lab: its supervisor, as a process that stays.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;

use super::name::LabName;
use super::protocol::{Failure, Response, Status};
use super::spec::Spec;
use super::supervisor::SUPERVISE;

/// What a supervisor is to start: the one line that it reads.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) name: LabName,
    pub(super) spec: Spec,
}

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Its supervisor could not be run.
    #[error("the lab's supervisor could not be run")]
    Spawn(#[source] io::Error),
    /// Its supervisor ended without a word.
    #[error("the lab's supervisor ended: {0}")]
    Ended(ExitStatus),
    /// What it said is not understood.
    #[error("what the lab's supervisor said is not understood")]
    Answer(#[source] serde_json::Error),
    /// The lab did not start.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl LaunchError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(failure) => failure.hint.clone(),
            Self::Spawn(_) | Self::Ended(_) | Self::Answer(_) => None,
        }
    }
}

/// A supervisor whose lab is not ready. Dropped, it gives up, and is waited for: what was started
/// is gone then.
struct Launch {
    child: Child,
    /// Closed, it says that nobody waits for the lab.
    wanted: Option<ChildStdin>,
    ready: bool,
}

impl Launch {
    fn ended(&mut self) -> io::Result<ExitStatus> {
        drop(self.wanted.take());
        self.child.wait()
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if !self.ready {
            let _ = self.ended();
        }
    }
}

/// Starts a lab of this name, and returns when it is ready. It shows its progress on the standard
/// error output until then, and stays when this process ends.
///
/// `program` is `tokenlab`, or another whose first argument [`SUPERVISE`] has it call
/// [`supervise`](super::supervise).
pub async fn launch(program: &Path, name: &LabName, spec: &Spec) -> Result<Status, LaunchError> {
    let mut child = Command::new(program)
        .arg(SUPERVISE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(LaunchError::Spawn)?;
    let (wanted, output) = (child.stdin.take(), child.stdout.take());
    let mut launch = Launch {
        child,
        wanted,
        ready: false,
    };
    let said = async {
        let order = Order {
            name: name.clone(),
            spec: spec.clone(),
        };
        let line = serde_json::to_string(&order)?;
        let mut wanted = launch.wanted.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        // One that has ended by now has said why.
        let _ = wanted.write_all(format!("{line}\n").as_bytes());
        let output: OwnedFd = output.ok_or(io::ErrorKind::BrokenPipe)?.into();
        let mut output = BufReader::new(pipe::Receiver::from_owned_fd(output)?);
        let mut said = String::new();
        output.read_line(&mut said).await?;
        Ok::<_, io::Error>(said)
    };
    let said = said.await.map_err(LaunchError::Spawn)?;
    if said.is_empty() {
        let ended = launch.ended().map_err(LaunchError::Spawn)?;
        return Err(LaunchError::Ended(ended));
    }
    match serde_json::from_str(&said).map_err(LaunchError::Answer)? {
        Response::Status(status) => {
            launch.ready = true;
            Ok(*status)
        }
        Response::Failed(failure) => Err(failure.into()),
        _ => Err(LaunchError::Answer(serde::de::Error::custom("no status"))),
    }
}
