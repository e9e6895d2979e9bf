//! Test processes that own a lab: this test binary, run again for one test of its own.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokenlab_harness::{Output, Probe, until};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::home::{Home, SOON};

/// Names the file that an owner reports to. Without it, an owner's test has nothing to do.
const REPORT: &str = "TOKENLAB_TEST_REPORT";

/// In an owner: where to report to. `None` when someone runs the ignored tests by hand.
pub(crate) fn report() -> Option<Report> {
    let path = Utf8PathBuf::from(std::env::var(REPORT).ok()?);
    Some(Report(path))
}

pub(crate) struct Report(Utf8PathBuf);

impl Report {
    /// Writes it in one step: a reader sees all of it or nothing.
    pub(crate) fn write(&self, text: &str) {
        let new = self.0.with_extension("new");
        let mut file = std::fs::File::create(&new).expect("must be made");
        file.write_all(text.as_bytes()).expect("must be written");
        std::fs::rename(&new, &self.0).expect("must be renamed");
    }
}

/// Runs one test of this binary as an owner, as `cargo test` would: with its output captured.
pub(crate) async fn owner(home: &Home, test: &str) -> Command {
    let program = std::env::current_exe().expect("must be known");
    let mut command = home.command(program).await;
    command
        .args(["--exact", test, "--ignored"])
        .env(REPORT, home.file("report"))
        .env("RUST_BACKTRACE", "0");
    command
}

/// What an owner reported.
pub(crate) fn reported(home: &Home) -> String {
    std::fs::read_to_string(home.file("report")).expect("the owner must have reported")
}

/// Waits until a file is there.
pub(crate) async fn appears(file: &Utf8Path) {
    let look = async || {
        if file.exists() {
            Probe::<_, std::convert::Infallible>::Ready(())
        } else {
            Probe::NotYet("it is not there".into())
        }
    };
    until(&format!("`{file}` appears"), SOON, look)
        .await
        .expect("must come true");
}

/// Runs an owner to its end.
pub(crate) async fn ended(command: &mut Command) -> Output {
    // Not `Command::output`: it takes both streams, whatever they were set to.
    let child = command.spawn().expect("must start");
    let output = tokio::time::timeout(SOON.within, child.wait_with_output()).await;
    text(output.expect("must end soon").expect("must be read"))
}

fn text(output: std::process::Output) -> Output {
    Output {
        status: output.status,
        stdout: String::from_utf8(output.stdout).expect("must be UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("must be UTF-8"),
    }
}

/// An owner that runs, with its two output streams.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    said: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("must start");
        let stdout = child.stdout.take().expect("must be a pipe");
        Self {
            child,
            stdout: BufReader::new(stdout),
            said: String::new(),
        }
    }

    /// Reads what it prints up to the line with this text.
    pub(crate) async fn says(&mut self, text: &str) {
        let read = async {
            loop {
                let from = self.said.len();
                let line = self.stdout.read_line(&mut self.said).await;
                if line.expect("must be UTF-8") == 0 {
                    let rest = self.child.wait().await;
                    panic!("ended without `{text}`: {rest:?}\n{}", self.said);
                }
                if self.said[from..].contains(text) {
                    break;
                }
            }
        };
        let read = tokio::time::timeout(SOON.within, read).await;
        read.expect("must say so soon");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("must not have been reaped");
        let pid = pid.try_into().expect("must be a process number");
        nix::sys::signal::kill(Pid::from_raw(pid), signal).expect("must be sent");
    }

    /// Stops reading what it prints, and waits for its end.
    pub(crate) async fn ended_unread(self) -> Output {
        let Self { child, stdout, .. } = self;
        drop(stdout);
        let output = tokio::time::timeout(SOON.within, child.wait_with_output()).await;
        text(output.expect("must end soon").expect("must be read"))
    }

    /// Waits for its end; what it has printed in all.
    pub(crate) async fn ended(self) -> Output {
        let Self {
            mut child,
            mut stdout,
            said: mut text,
        } = self;
        let mut error_output = child.stderr.take().expect("must be a pipe");
        let mut stderr = String::new();
        let end = async {
            let (stdout, stderr, status) = tokio::join!(
                stdout.read_to_string(&mut text),
                error_output.read_to_string(&mut stderr),
                child.wait(),
            );
            stdout.and(stderr).and(status).expect("must end")
        };
        let status = tokio::time::timeout(SOON.within, end).await;
        Output {
            status: status.expect("must end soon"),
            stdout: text,
            stderr,
        }
    }
}
