//! A process group that the guardian knows before there is anything in it to end.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use camino::Utf8Path;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::guardian::Guardian;

/// Waits for its first line before it becomes the program: so an owner that dies before the
/// guardian knows the process leaves nothing.
const GATE: &str = r#"IFS= read -r go && exec "$@" </dev/null"#;

/// The same, for a program that reads what comes behind the line.
const OPEN_GATE: &str = r#"IFS= read -r go && exec "$@""#;

/// A command for this program, in a process group of its own, behind the gate: its standard
/// input is what [`Group::open`] takes. `name` is what the shell calls itself.
///
/// Of the environment it gets `PATH` alone: etcd takes any `ETCD_…` for a flag, client-go any
/// `KUBE_FEATURE_…` for a gate, and what is printed shall be all that there is.
pub(crate) fn gated(name: &str, program: &Utf8Path) -> Command {
    let mut command = behind(GATE, name, program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

/// The same with all of the environment, for a program that the user brings.
pub(crate) fn gated_in_full(name: &str, program: &Utf8Path) -> Command {
    behind(GATE, name, program)
}

/// The same for a tool of this machine, such as docker: with all of the environment, for what it
/// works with (the engine's address, proxies, credentials) is the user's and stands there; and
/// what is written behind the gate's line is what it reads, for a shell reads no further than to
/// the end of that line (POSIX, `read`).
pub(crate) fn gated_tool(name: &str, program: &Utf8Path) -> Command {
    behind(OPEN_GATE, name, program)
}

fn behind(gate: &str, name: &str, program: &Utf8Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", gate, name, program.as_str()])
        .process_group(0)
        .stdin(Stdio::piped());
    command
}

/// A running group. Dropped, whoever is still in it is killed.
#[derive(Debug)]
pub(crate) struct Group {
    leader: u32,
    guardian: &'static Guardian,
}

impl Group {
    /// Opens the gate of a child of the standard library's; where that fails, the child is ended.
    pub(crate) fn of(child: &mut Child) -> io::Result<Self> {
        let gate = child.stdin.take();
        let gate = gate.ok_or_else(|| io::Error::other("no pipe"));
        let opened = gate.and_then(|gate| Self::open(child.id(), gate));
        if opened.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        opened
    }

    /// Tells the guardian of a child that [`gated`] made, and lets it run.
    pub(crate) fn open(leader: u32, gate: impl Into<OwnedFd>) -> io::Result<Self> {
        let (group, _gate) = Self::open_to_feed(leader, gate)?;
        Ok(group)
    }

    /// The same for [`gated_tool`]; what it returns leads to the program.
    pub(crate) fn open_to_feed(leader: u32, gate: impl Into<OwnedFd>) -> io::Result<(Self, File)> {
        let guardian = Guardian::get()?;
        guardian.process(leader)?;
        let group = Self { leader, guardian };
        let mut gate = File::from(gate.into());
        gate.write_all(b"go\n")?;
        Ok((group, gate))
    }

    /// Signals everyone in it.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Ok(leader) = i32::try_from(self.leader) {
            // Nobody is left in it: no reason to fail.
            let _ = killpg(Pid::from_raw(leader), signal);
        }
    }
}

impl Drop for Group {
    /// The leader may have been reaped by now. As long as somebody is in the group, no other
    /// process gets its number; and if nobody is, hardly one within this moment.
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.guardian.ended(self.leader);
    }
}
