//! A program of this machine that is run to its end, such as docker: its outcome is data, its
//! failure tells the command line, and it does not outlive its owner.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::Command;

use crate::group::{Group, gated, gated_fed};
use crate::kubectl::Output;
use crate::process::{is_executable, quoted};

/// A program, and what all its runs have in common.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    program: Utf8PathBuf,
    env: BTreeMap<&'static str, OsString>,
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

/// The last lines are where a program says why.
fn indented(output: &Output) -> String {
    const TAIL: usize = 16;
    let text = output.to_string();
    let lines: Vec<_> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL)..];
    let first = lines.first().copied().unwrap_or_default();
    let cut = if lines.len() > TAIL {
        format!("{first}\n  …")
    } else {
        String::new()
    };
    tail.iter()
        .fold(cut, |text, line| {
            if text.is_empty() {
                (*line).to_owned()
            } else {
                format!("{text}\n  {line}")
            }
        })
        .trim_end()
        .to_owned()
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
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path);
        folders
            .filter_map(|folder| Utf8PathBuf::from_path_buf(std::path::absolute(folder).ok()?).ok())
            .map(|folder| folder.join(name))
            .find(|path| is_executable(path))
            .map(|program| Self::at(name, program))
            .ok_or(ToolError::Missing { name })
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
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.insert(name, value.into());
        self
    }

    /// The file that each command line is appended to before it is run.
    pub(crate) fn log(mut self, file: Utf8PathBuf) -> Self {
        self.log = Some(file);
        self
    }

    /// The command line, for a shell.
    pub(crate) fn line(&self, args: &[&str]) -> String {
        let variables = self.env.iter();
        let variables =
            variables.map(|(name, value)| format!("{name}={}", quoted(&value.to_string_lossy())));
        let words = std::iter::once(&self.name)
            .chain(args)
            .map(|word| quoted(word).into_owned());
        variables.chain(words).collect::<Vec<_>>().join(" ")
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
        let output = self.spawned(args, input).await;
        let output = output.map_err(|source| ToolError::Run {
            command: self.line(args),
            source,
        })?;
        Ok(Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    async fn spawned(&self, args: &[&str], input: Input<'_>) -> io::Result<std::process::Output> {
        if let Some(log) = &self.log {
            let mut log = File::options().create(true).append(true).open(log)?;
            writeln!(log, "{}", self.line(args))?;
        }
        let command = match input {
            Input::Nothing => gated(self.name, &self.program),
            Input::Bytes(_) | Input::File(_) => gated_fed(self.name, &self.program),
        };
        let mut child = Command::from(command)
            .args(args)
            // All of it: the engine's address, proxies, the home with the user's credentials.
            .envs(std::env::vars_os())
            .envs(&self.env)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(pid), Some(gate)) = (child.id(), child.stdin.take()) else {
            return Err(io::Error::other("no pipe"));
        };
        let (_group, pipe) = Group::open_to_feed(pid, gate.into_owned_fd()?)?;
        let pipe = tokio::fs::File::from_std(pipe);
        // A program that ends before it has read everything says itself why.
        let ((), output) = tokio::join!(write(pipe, input), child.wait_with_output());
        output
    }
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

    #[test]
    fn what_is_missing_is_named() {
        let error = Tool::find("tokenlab-nothing").expect_err("must be missing");
        assert_eq!(error.to_string(), "`tokenlab-nothing` is not on PATH");
    }
}
