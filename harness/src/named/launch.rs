//! Starting a named lab: its supervisor, as a process that stays.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

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

/// How long a supervisor that gives up is waited for. One that a hanging container engine holds goes on
/// by itself.
const GRACE: Duration = Duration::from_secs(20);

/// A supervisor whose lab is not ready. Dropped, it gives up, and is waited for: what was started
/// is gone then.
struct Launch {
    /// Told how the supervisor ended by a thread that waits for it, whenever that is: so it does not
    /// stay as a zombie of a program that outlives it.
    ended: Receiver<io::Result<ExitStatus>>,
    /// Closed, it says that nobody waits for the lab.
    wanted: Option<ChildStdin>,
    ready: bool,
    grace: Duration,
}

impl Launch {
    fn start(command: &mut Command) -> io::Result<(Self, ChildStdout)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (wanted, output) = (child.stdin.take(), child.stdout.take());
        let (tell, ended) = channel();
        let waits = std::thread::Builder::new().name("supervisor".to_owned());
        waits.spawn(move || tell.send(child.wait()))?;
        let launch = Self {
            ended,
            wanted,
            ready: false,
            grace: GRACE,
        };
        Ok((launch, output.ok_or(io::ErrorKind::BrokenPipe)?))
    }

    fn ended(&mut self) -> io::Result<ExitStatus> {
        drop(self.wanted.take());
        let ended = self.ended.recv_timeout(self.grace);
        ended.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if !self.ready && self.ended().is_err() {
            tracing::warn!("the lab's supervisor still takes away what it had started");
        }
    }
}

/// Starts a lab of this name, and returns when it is ready. It shows its progress on the standard
/// error output until then, and stays when this process ends.
///
/// `program` is `tokenlab`, or another whose first argument [`SUPERVISE`] has it call
/// [`supervise`](super::supervise).
pub async fn launch(program: &Path, name: &LabName, spec: &Spec) -> Result<Status, LaunchError> {
    let started = Launch::start(Command::new(program).arg(SUPERVISE));
    let (mut launch, output) = started.map_err(LaunchError::Spawn)?;
    let said = async {
        let order = Order {
            name: name.clone(),
            spec: spec.clone(),
        };
        let line = serde_json::to_string(&order)?;
        let mut wanted = launch.wanted.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        // One that has ended by now has said why.
        let _ = wanted.write_all(format!("{line}\n").as_bytes());
        let mut output = BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(output))?);
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

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::time::Instant;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    fn launched(script: &str) -> (Launch, Pid) {
        let mut command = Command::new("sh");
        let started = Launch::start(command.args(["-c", script]));
        let (launch, output) = started.expect("must start");
        let mut line = String::new();
        let read = std::io::BufReader::new(output).read_line(&mut line);
        read.expect("must be read");
        let pid = line.trim().parse().expect("must be a number");
        (launch, Pid::from_raw(pid))
    }

    #[test]
    fn one_that_hangs_is_not_waited_for_without_end() {
        let (mut launch, pid) = launched("echo $$; exec sleep 1000");
        launch.grace = Duration::from_millis(50);
        let began = Instant::now();
        drop(launch);
        assert!(began.elapsed() < Duration::from_secs(100));
        kill(pid, Signal::SIGKILL).expect("must run yet");
    }

    #[test]
    fn one_that_ends_later_is_no_zombie() {
        let (mut launch, pid) = launched("echo $$; read -r until; exit 3");
        launch.ready = true;
        let ended = launch.ended().expect("must end");
        assert_eq!(ended.code(), Some(3));
        kill(pid, None).expect_err("must be nobody's number any more");
    }
}
