use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::peer::soon;

/// The program as cargo built it for these tests.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tokenlab-webhook");

/// A running `tokenlab-webhook serve`. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: mpsc::UnboundedReceiver<String>,
    seen: String,
}

impl Program {
    pub(crate) async fn serve(args: &[impl AsRef<OsStr>], log: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--mock", "--listen", "127.0.0.1:0"]);
        Self::start(command.args(args).env("TOKENLAB_LOG", log)).await
    }

    /// Starts a command and waits for the line that says where it listens.
    pub(crate) async fn start(command: &mut Command) -> Self {
        let command = command.kill_on_drop(true).stdin(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("a program");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (sender, lines) = mpsc::unbounded_channel();
        // All the time, so that a full pipe never stops the program.
        tokio::spawn(async move {
            while let Some(line) = stderr.next_line().await.expect("UTF-8") {
                sender.send(line).ok();
            }
        });
        let mut program = Self {
            child,
            address: ([0, 0, 0, 0], 0).into(),
            lines,
            seen: String::new(),
        };
        program.line_with("listening").await;
        program.address = program.told("/authenticate");
        program
    }

    /// Where its health port is.
    pub(crate) fn health(&self) -> SocketAddr {
        let mut lines = self.seen.lines();
        let line = lines.rfind(|line| line.contains("health and metrics"));
        let (_, rest) = line
            .and_then(|line| line.split_once("://"))
            .expect("an address");
        let (address, _) = rest.split_once('"').expect("an address");
        address.parse().expect("an address")
    }

    /// The address of the last URL with this path on stderr.
    fn told(&self, path: &str) -> SocketAddr {
        let (head, _) = self.seen.rsplit_once(path).expect("a path");
        let (_, address) = head.rsplit_once("://").expect("an address");
        address.parse().expect("an address")
    }

    /// Waits for a line of stderr that has `text` in it, from those that nobody has waited for.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = soon(self.lines.recv()).await;
            let line = line.unwrap_or_else(|| panic!("no `{text}` in:\n{}", self.seen));
            self.seen = format!("{}{line}\n", self.seen);
            if line.contains(text) {
                return line;
            }
        }
    }

    fn id(&self) -> u32 {
        self.child.id().expect("it must be running")
    }

    /// Octets of memory that it has now, and that it had at most.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).expect("Linux");
        let octets = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let text = line.and_then(|line| line.trim().strip_suffix(" kB"));
            text.expect("kB").parse::<usize>().expect("a number") * 1024
        };
        (octets("VmRSS:"), octets("VmHWM:"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("a signal");
    }

    /// Waits for its end; gives its status and all that it wrote to stderr.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let status = soon(self.child.wait()).await.expect("a status");
        while let Some(line) = soon(self.lines.recv()).await {
            self.seen = format!("{}{line}\n", self.seen);
        }
        (status, self.seen)
    }
}

/// Runs the program to its end in `dir`: exit code, stdout and stderr as one text.
pub(crate) async fn run(args: &[&str], dir: &Path) -> String {
    let mut command = Command::new(PROGRAM);
    let command = command.args(args).current_dir(dir);
    let command = command.env_remove("TOKENLAB_LOG").kill_on_drop(true);
    let output = soon(command.output()).await.expect("a program");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    let code = output.status.code().expect("no signal");
    format!("exit_code: {code}\n----- stdout -----\n{stdout}----- stderr -----\n{stderr}")
}
