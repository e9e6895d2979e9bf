//! What a supervisor reads, says, and hears.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::Utf8Path;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::named::launch::Order;
use crate::named::protocol::{Failure, Response};

/// The pipe from who waits for the lab.
pub(super) struct Input(BufReader<pipe::Receiver>);

impl Input {
    pub(super) fn open() -> Result<Self, Failure> {
        let opened = io::stdin().as_fd().try_clone_to_owned();
        let pipe = opened.and_then(pipe::Receiver::from_owned_fd);
        Ok(Self(BufReader::new(pipe.map_err(|error| Failure {
            hint: Some("it is `tokenlab up` that starts a supervisor".to_owned()),
            ..Failure::of(&error, None)
        })?)))
    }

    /// What to start.
    pub(super) async fn order(&mut self) -> Result<Order, Failure> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        serde_json::from_str(&line).map_err(|error| Failure::of(&error, None))
    }

    /// Resolves when nobody waits any more.
    pub(super) async fn closed(&mut self) {
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }
}

/// Says the one thing that who waits for the lab is told.
pub(super) fn say(response: &Response) -> io::Result<()> {
    let line = serde_json::to_string(response)?;
    writeln!(io::stdout().lock(), "{line}")
}

/// Closes what it inherited and was not meant for it: a lock of a script's, a pipe whose reader waits
/// for its end. What this process opened itself is closed in each program that it starts, and so told
/// from that (`proc_pid_fdinfo(5)`; where there is no `/proc`, nothing is closed).
pub(super) fn close_inherited() {
    const CLOSED_BY_EXEC: u32 = nix::libc::O_CLOEXEC.cast_unsigned();
    let Ok(open) = std::fs::read_dir("/proc/self/fdinfo") else {
        return;
    };
    let inherited = open.flatten().filter_map(|entry| {
        let number: RawFd = entry.file_name().to_str()?.parse().ok()?;
        let info = std::fs::read_to_string(entry.path()).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
        (number > 2 && flags & CLOSED_BY_EXEC == 0).then_some(number)
    });
    for number in inherited.collect::<Vec<_>>() {
        let _ = nix::unistd::close(number);
    }
}

/// What is still open to who waited for the lab: the standard output.
pub(super) struct Left(File);

impl Left {
    /// Leaves that, too.
    pub(super) fn fall_silent(self) -> io::Result<()> {
        Ok(dup2_stdout(self.0)?)
    }
}

/// Leaves the streams, and the folder, of who waited for the lab, but for what it is to be told by.
pub(super) fn leave(log: &Utf8Path) -> io::Result<Left> {
    let log = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stderr(&log)?;
    std::env::set_current_dir("/")?;
    Ok(Left(nothing))
}

/// The signals that end a lab.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
