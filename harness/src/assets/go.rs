//! The `go` program: found, run, watched.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::{ExitStatus, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::Platform;
use crate::process::on_path;

/// Runs its arguments as a command, and kills the whole process group when its standard input ends,
/// which it does when the owner dies, however that happens. `go build` has compilers for children,
/// so killing `go` alone is not enough.
const LEASH: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
{ read -r _; kill -KILL 0; } <&3 >/dev/null 2>&1 &
watch=$!
wait "$command"
status=$?
kill -KILL "$watch"
exit "$status"
"#;

/// How many of the last lines an error shows.
const TAIL: usize = 12;

/// A `go` program, the folder that it works in and the log of what it says.
#[derive(Debug)]
pub(super) struct Go {
    program: Utf8PathBuf,
    platform: Platform,
    folder: Utf8PathBuf,
    log: Utf8PathBuf,
    file: File,
}

/// Why a `go` command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// There is no such program.
    #[error("`{go}` is not {}", if go.as_str().contains('/') { "a program" } else { "on PATH" })]
    Missing {
        /// The program that was looked for.
        go: Utf8PathBuf,
    },
    /// It, or the shell that watches it, did not start; or its output could not be kept.
    #[error("`{command}` could not be run")]
    Run {
        /// The command line.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// It failed.
    #[error(
        "`{command}` ended with {status}; its last lines:\n{}\nall of it: {log}",
        indent(tail)
    )]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        tail: String,
        /// The file with all of its output.
        log: Utf8PathBuf,
    },
    /// It answered something unexpected.
    #[error("`{command}` gave an unreadable answer")]
    Unreadable {
        /// The command line.
        command: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

impl GoError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some(
                "install Go 1.26 or newer (https://go.dev/dl) and put it on PATH, or set LAB_GO to its path".to_owned(),
            ),
            Self::Run { source, .. } => hint(&source.to_string()).map(str::to_owned),
            Self::Unreadable { .. } => None,
            Self::Failed { tail, .. } => hint(tail).map(str::to_owned),
        }
    }
}

/// What the last lines of `go` mean. The texts are those of Go's own programs.
fn hint(tail: &str) -> Option<&'static str> {
    let says = |texts: &[&str]| texts.iter().any(|text| tail.contains(text));
    if says(&[
        "no space left on device",
        "No space left on device",
        "isk quota exceeded",
    ]) {
        Some(
            "free some space: a build takes about 4 GB in Go's build cache (`go env GOCACHE`), 3 GB in its \
             module cache (`go env GOMODCACHE`) and 1 GB in TMPDIR",
        )
    } else if says(&[
        "requires go >=",
        "toolchain not available",
        "invalid go version",
        "unknown directive",
    ]) {
        Some(
            "install the newer Go that the line above asks for (https://go.dev/dl), or let go fetch it: GOTOOLCHAIN=auto",
        )
    } else if says(&[
        "dial tcp",
        "no such host",
        "connection refused",
        "connection reset",
        "i/o timeout",
        "TLS handshake timeout",
        "proxyconnect",
        "403 Forbidden",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ]) {
        Some(
            "set GOPROXY to a module proxy that this machine reaches, and HTTPS_PROXY if it takes one",
        )
    } else if says(&["module lookup disabled by GOPROXY=off"]) {
        Some("set GOPROXY to a module proxy: it is `off`")
    } else if says(&["signal: killed", "cannot allocate memory"]) {
        Some(
            "give the machine more memory, or set GOFLAGS=-p=1 so that one package is compiled at a time",
        )
    } else {
        None
    }
}

/// Finds a program as a shell does: a path as it stands, a name on `PATH`.
pub(super) fn locate(go: &Utf8Path) -> Result<Utf8PathBuf, GoError> {
    let missing = || GoError::Missing { go: go.to_owned() };
    let usable = |path: &Utf8PathBuf| super::program::check(path).is_ok();
    if go.as_str().contains('/') {
        return Some(go.to_owned()).filter(usable).ok_or_else(missing);
    }
    on_path(go.as_str()).ok_or_else(missing)
}

impl Go {
    /// A `go` that works in `folder` and writes to `log`, which is emptied.
    pub(super) fn new(
        go: &Utf8Path,
        platform: &Platform,
        folder: &Utf8Path,
        log: Utf8PathBuf,
    ) -> Result<Self, GoError> {
        let program = locate(go)?;
        let file = File::create(&log).map_err(|source| GoError::Run {
            command: program.to_string(),
            source,
        })?;
        Ok(Self {
            program,
            platform: platform.clone(),
            folder: folder.to_owned(),
            log,
            file,
        })
    }

    /// Runs a command, tells each line of its error output, and returns its standard output.
    pub(super) async fn run(
        &mut self,
        args: &[&str],
        mut tell: impl FnMut(&str),
    ) -> Result<String, GoError> {
        let command = std::iter::once(self.program.as_str())
            .chain(args.iter().copied())
            .map(quote);
        let command = command.collect::<Vec<_>>().join(" ");
        let (status, output, tail) =
            self.watch(&command, args, &mut tell)
                .await
                .map_err(|source| GoError::Run {
                    command: command.clone(),
                    source,
                })?;
        if status.success() {
            return Ok(output);
        }
        Err(GoError::Failed {
            command,
            status,
            tail,
            log: self.log.clone(),
        })
    }

    async fn watch(
        &mut self,
        line: &str,
        args: &[&str],
        tell: &mut impl FnMut(&str),
    ) -> io::Result<(ExitStatus, String, String)> {
        writeln!(self.file, "$ {line}")?;
        let mut group = Group::spawn(self.command(args))?;
        let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
        let (Some(mut stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(io::Error::other("its output is not captured"));
        };
        let mut output = Vec::new();
        let mut tail = VecDeque::new();
        let mut lines = BufReader::new(stderr).split(b'\n');
        let file = &mut self.file;
        let read_lines = async {
            while let Some(line) = lines.next_segment().await? {
                let line = String::from_utf8_lossy(&line);
                writeln!(file, "{line}")?;
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tell(&line);
                tail.push_back(line.into_owned());
            }
            Ok(())
        };
        let (_, ()) = tokio::try_join!(stdout.read_to_end(&mut output), read_lines)?;
        let status = group.wait().await?;
        let output = String::from_utf8_lossy(&output).into_owned();
        if !status.success() {
            file.write_all(output.as_bytes())?;
            // With -json some commands tell their errors in their answer.
            if tail.is_empty() {
                let lines: Vec<_> = output.lines().map(str::to_owned).collect();
                tail.extend(lines.into_iter().rev().take(TAIL).rev());
            }
        }
        Ok((status, output, Vec::from(tail).join("\n")))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LEASH, "sh", self.program.as_str()])
            .args(args)
            .current_dir(&self.folder)
            .env("CGO_ENABLED", "0")
            .env("GO111MODULE", "on")
            .env("GOWORK", "off")
            .env("GOOS", &self.platform.os)
            .env("GOARCH", &self.platform.arch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A word of a command line, so that it can be pasted into a shell.
fn quote(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

/// A process group, killed when dropped before it was waited for.
#[derive(Debug)]
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn spawn(mut command: Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        Ok(Self { child, leader })
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        // `Child::wait` closes the standard input first, which would pull the leash.
        let stdin = self.child.stdin.take();
        let status = self.child.wait().await?;
        drop(stdin);
        self.leader = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // It may have ended by itself meanwhile.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}
