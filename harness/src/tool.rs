//! A program of this machine that is run to its end, such as docker: its outcome is data, its
//! failure tells the command line, and it does not outlive its owner.

mod piped;
mod speaking;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::{Child, Command};

use crate::group::{Group, gated_tool};
use crate::kubectl::Output;
use crate::process::{command_line, is_executable, on_path};
use crate::run_folder::{self, RunFolderError};

pub(crate) use piped::{Piped, complaint};

/// A program, and what all its runs have in common.
///
/// It gets all of the environment, unlike Kubernetes' own programs ([`gated`](crate::group::gated)):
/// `DOCKER_HOST` and `DOCKER_CONTEXT`, proxies, and the home with the user's credentials are what a
/// tool of this machine works with. What it shall not take from there is set over it
/// ([`Tool::env`]). Command lines are shown and logged, so no secret may stand on one: what is
/// secret is [fed](Tool::feed).
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    program: Utf8PathBuf,
    env: BTreeMap<String, String>,
    log: Option<Utf8PathBuf>,
}

/// Why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is no such program.
    #[error("`{name}` is not on PATH")]
    Missing {
        /// What was looked for.
        name: &'static str,
    },
    /// It could not be started, or not be fed.
    #[error("`{command}` could not be run")]
    Run {
        /// The command line.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It failed.
    #[error("`{command}` failed; {}", indented(output))]
    Failed {
        /// The command line.
        command: String,
        /// What came of it.
        output: Box<Output>,
    },
    /// It did not end in time, and was ended.
    #[error("`{command}` did not end within {within:?}")]
    TimedOut {
        /// The command line.
        command: String,
        /// How long it was given.
        within: Duration,
    },
}

impl ToolError {
    /// What it wrote before it failed: the error output, or what there is instead.
    pub(crate) fn said(&self) -> &str {
        match self {
            Self::Failed { output, .. } if output.stderr.trim().is_empty() => output.stdout.trim(),
            Self::Failed { output, .. } => output.stderr.trim(),
            Self::Missing { .. } | Self::Run { .. } | Self::TimedOut { .. } => "",
        }
    }
}

/// How it ended, and its last lines, which are where a program says why.
fn indented(output: &Output) -> String {
    const TAIL: usize = 16;
    let text = output.to_string();
    let mut lines: Vec<_> = text.lines().collect();
    if lines.len() > TAIL {
        lines.splice(1..=lines.len() - TAIL, ["…"]);
    }
    lines.join("\n  ")
}

/// What a program reads.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(&'a [u8]),
    /// This file.
    File(&'a Utf8Path),
}

impl Tool {
    /// The program of this name on `PATH`.
    pub(crate) fn find(name: &'static str) -> Result<Self, ToolError> {
        let program = on_path(name).ok_or(ToolError::Missing { name })?;
        Ok(Self::at(name, program))
    }

    /// The program at this path.
    pub(crate) fn at(name: &'static str, program: Utf8PathBuf) -> Self {
        Self {
            name,
            program,
            env: BTreeMap::new(),
            log: None,
        }
    }

    /// Its path.
    pub(crate) fn program(&self) -> &Utf8Path {
        &self.program
    }

    /// Adds a variable to its environment.
    pub(crate) fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The file that each command line is appended to before it is run.
    pub(crate) fn log(mut self, file: Utf8PathBuf) -> Self {
        self.log = Some(file);
        self
    }

    /// The same without that file.
    pub(crate) fn unlogged(mut self) -> Self {
        self.log = None;
        self
    }

    /// The command line, for a shell.
    pub(crate) fn line(&self, args: &[&str]) -> String {
        let env = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        command_line(env, std::iter::once(self.name).chain(args.iter().copied()))
    }

    /// Runs it, and returns its standard output; an exit code other than 0 is an error.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<String, ToolError> {
        self.feed(args, Input::Nothing).await
    }

    /// The same, with something to read.
    pub(crate) async fn feed(&self, args: &[&str], input: Input<'_>) -> Result<String, ToolError> {
        let output = self.output(args, input).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(ToolError::Failed {
            command: self.line(args),
            output: Box::new(output),
        })
    }

    /// The same, for at most this long.
    pub(crate) async fn run_within(
        &self,
        within: Duration,
        args: &[&str],
    ) -> Result<String, ToolError> {
        match tokio::time::timeout(within, self.run(args)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ToolError::TimedOut {
                command: self.line(args),
                within,
            }),
        }
    }

    /// Runs it to its end, whatever that is. Dropped before that, it is killed.
    pub(crate) async fn output(
        &self,
        args: &[&str],
        input: Input<'_>,
    ) -> Result<Output, ToolError> {
        let output = self.logged_and_run(args, input).await;
        output.map_err(|source| ToolError::Run {
            command: self.line(args),
            source,
        })
    }

    async fn logged_and_run(&self, args: &[&str], input: Input<'_>) -> io::Result<Output> {
        run_to_its_end(&self.program, self.logged(args)?, input).await
    }

    /// The command, behind the gate, once its line is in the log.
    fn logged(&self, args: &[&str]) -> io::Result<std::process::Command> {
        if let Some(log) = &self.log {
            run_folder::record(log, &self.line(args)).map_err(|error| match error {
                RunFolderError::Create { source, .. } | RunFolderError::Write { source, .. } => {
                    source
                }
            })?;
        }
        let mut command = gated_tool(self.name, &self.program);
        command.args(args).envs(&self.env);
        Ok(command)
    }
}

/// Runs what [`gated`](crate::group::gated) or [`gated_tool`] made to its end, whatever that is.
/// Dropped before that, it is killed, with all its group; and it does not outlive its owner.
pub(crate) async fn run_to_its_end(
    program: &Utf8Path,
    command: std::process::Command,
    input: Input<'_>,
) -> io::Result<Output> {
    // The gate is a shell: it would start, and say on its own that there is no such program.
    if !is_executable(program) {
        let kind = io::ErrorKind::NotFound;
        return Err(io::Error::new(kind, "not an executable file"));
    }
    let (child, pid, gate) = spawn(command)?;
    let (_group, pipe) = Group::open_to_feed(pid, gate)?;
    let pipe = tokio::fs::File::from_std(pipe);
    // A program that ends before it has read everything says itself why.
    let ((), output) = tokio::join!(write(pipe, input), child.wait_with_output());
    Ok(output?.into())
}

/// Starts it behind its gate, which is returned with its number; dropped, it is killed.
fn spawn(command: std::process::Command) -> io::Result<(Child, u32, OwnedFd)> {
    let mut child = Command::from(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(pid), Some(gate)) = (child.id(), child.stdin.take()) else {
        return Err(io::Error::other("no pipe"));
    };
    Ok((child, pid, gate.into_owned_fd()?))
}

async fn write(mut pipe: tokio::fs::File, input: Input<'_>) {
    use tokio::io::AsyncWriteExt as _;
    let _: io::Result<()> = async {
        match input {
            Input::Nothing => {}
            Input::Bytes(bytes) => pipe.write_all(bytes).await?,
            Input::File(path) => {
                let mut file = tokio::fs::File::open(path).await?;
                tokio::io::copy(&mut file, &mut pipe).await?;
            }
        }
        pipe.flush().await
    }
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Tool {
        Tool::find("sh").expect("must be on PATH")
    }

    #[tokio::test]
    async fn what_it_reads_reaches_it_whole() {
        let bytes = vec![b'x'; 1 << 20];
        let count = shell().feed(&["-c", "wc -c"], Input::Bytes(&bytes)).await;
        assert_eq!(count.expect("must run").trim(), "1048576");
        let nothing = shell().run(&["-c", "wc -c"]).await;
        assert_eq!(nothing.expect("must run").trim(), "0");
    }

    #[tokio::test]
    async fn a_failure_tells_the_command_and_what_it_said() {
        let tool = shell().env("WHY", "no reason");
        let error = tool.run(&["-c", "echo $WHY >&2; exit 3"]).await;
        let error = error.expect_err("must fail");
        assert_eq!(error.said(), "no reason");
        let text = error.to_string();
        assert!(
            text.starts_with(
                "`WHY='no reason' sh -c 'echo $WHY >&2; exit 3'` failed; exit code: 3"
            ),
            "{text}"
        );
    }

    #[tokio::test]
    async fn the_last_lines_of_a_long_output_are_shown() {
        let error = shell()
            .run(&["-c", "seq 1000; exit 1"])
            .await
            .expect_err("must fail");
        let text = error.to_string();
        assert!(text.ends_with("999\n  1000"), "{text}");
        assert!(text.lines().count() < 20, "{text}");
    }

    #[tokio::test]
    async fn it_is_ended_when_its_time_is_up() {
        let within = Duration::from_millis(50);
        let error = shell().run_within(within, &["-c", "sleep 1000"]).await;
        let text = error.expect_err("must time out").to_string();
        assert_eq!(text, "`sh -c 'sleep 1000'` did not end within 50ms");
    }

    #[tokio::test]
    async fn command_lines_are_logged_and_what_is_fed_is_not() {
        let folder = tempfile::tempdir().expect("must be made");
        let log = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let log = log.join("command-lines");
        // Before it is run: it finds its own line there.
        let tool = shell().env("WHY", "a b").log(log.clone());
        let args = ["-c", "cat \"$1\"; read -r token", "sh", log.as_str()];
        let secret = Input::Bytes(b"secret\n");
        let seen = tool.feed(&args, secret).await.expect("must run");
        assert_eq!(
            seen,
            format!("WHY='a b' sh -c 'cat \"$1\"; read -r token' sh {log}\n")
        );
    }

    #[tokio::test]
    async fn it_has_the_environment_of_its_owner() {
        let home = shell().run(&["-c", "echo \"$HOME\""]).await;
        let own = std::env::var("HOME").unwrap_or_default();
        assert_eq!(home.expect("must run").trim_end(), own);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Tool::find("tokenlab-nothing").expect_err("must be missing");
        assert_eq!(error.to_string(), "`tokenlab-nothing` is not on PATH");
    }
}
