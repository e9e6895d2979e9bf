//! Why a process does not run as it should: what it said comes first, for it tells the cause.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::Plan;

/// Why a process is not running, or is not ready.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such program, or it may not be run.
    #[error("{name} cannot be run: `{program}` is not an executable file")]
    ProgramMissing {
        /// What messages call it.
        name: &'static str,
        /// Where it was expected.
        program: Utf8PathBuf,
    },
    /// The operating system refused to start it.
    #[error("{name} could not be started: {}", plan.told())]
    Spawn {
        /// What messages call it.
        name: &'static str,
        /// What it was started from.
        plan: Box<Plan>,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before it was ready, or while what stands on it started.
    #[error("{name} ended early: {status}\n{tail}\n  log: {}\n  command: {}", plan.log, plan.told())]
    Exited {
        /// What messages call it.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The log's last lines, indented.
        tail: String,
        /// What it was started from.
        plan: Box<Plan>,
    },
    /// It runs, and was not ready in time. It has been ended.
    #[error("{name} was not ready after {elapsed:.1?}; last seen: {last}\n{tail}\n  log: {}\n  command: {}", plan.log, plan.told())]
    TimedOut {
        /// What messages call it.
        name: &'static str,
        /// How long it was waited for.
        elapsed: Duration,
        /// What the last look saw.
        last: String,
        /// The log's last lines, indented.
        tail: String,
        /// What it was started from.
        plan: Box<Plan>,
    },
}

impl StartError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ProgramMissing { .. } => {
                Some("`tokenlab assets list` shows where programs are looked for".to_owned())
            }
            Self::Exited { tail, .. } if tail.contains("address already in use") => {
                Some("another process listens on that port: leave `secure-port` unset".to_owned())
            }
            Self::Exited { tail, .. } if tail.contains("unknown flag") => {
                Some("this version of the program does not have that flag".to_owned())
            }
            Self::Exited { tail, .. } if tail.contains("no space left on device") => {
                Some("free some space, or set TMPDIR to a folder on another disk".to_owned())
            }
            Self::Spawn { .. } | Self::Exited { .. } | Self::TimedOut { .. } => None,
        }
    }
}
