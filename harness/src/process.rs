//! A child process: what will run, printable; then running; then stopped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;

use crate::group::{Group, gated};
use crate::wait::{Poll, Probe, WaitError, until};

/// How often a child is asked whether it has ended. The question is one `waitpid`.
const EXIT_POLL: Duration = Duration::from_millis(10);

/// How many lines of a log stand in an error, and how much of each.
const TAIL_LINES: usize = 12;
const TAIL_COLUMNS: usize = 400;

/// Everything about a process that is not running yet. `Display` is a line for a shell.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What messages call it.
    pub name: &'static str,
    /// The program's path.
    pub program: Utf8PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is added to the environment.
    pub env: BTreeMap<&'static str, String>,
    /// Its working folder.
    pub folder: Utf8PathBuf,
    /// The file that its two output streams are appended to.
    pub log: Utf8PathBuf,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let words = variables
            .chain([self.program.to_string()])
            .chain(self.args.iter().cloned());
        let line = words
            .map(|word| quoted(&word).into_owned())
            .collect::<Vec<_>>()
            .join(" ");
        write!(f, "cd {} && {line}", quoted(self.folder.as_str()))
    }
}

/// A word as a shell reads it back; quoted only where it must be, so that flags stay legible.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    // A NUL, the one thing that cannot be quoted, no argument can hold either.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

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
    #[error("{name} could not be started: `{plan}`")]
    Spawn {
        /// What messages call it.
        name: &'static str,
        /// The command line.
        plan: Box<Plan>,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready: {status}\n  command: {plan}\n  log: {}\n{tail}", plan.log)]
    Exited {
        /// What messages call it.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The command line.
        plan: Box<Plan>,
        /// The log's last lines, indented.
        tail: String,
    },
    /// It runs, and was not ready in time. It has been ended.
    #[error("{name} was not ready after {elapsed:.1?}; last seen: {last}\n  command: {plan}\n  log: {}\n{tail}", plan.log)]
    TimedOut {
        /// What messages call it.
        name: &'static str,
        /// How long it was waited for.
        elapsed: Duration,
        /// What the last look saw.
        last: String,
        /// The command line.
        plan: Box<Plan>,
        /// The log's last lines, indented.
        tail: String,
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

impl Plan {
    /// Starts it, in a process group of its own, known to the guardian.
    pub fn spawn(self) -> Result<Process, StartError> {
        if !is_executable(&self.program) {
            return Err(StartError::ProgramMissing {
                name: self.name,
                program: self.program,
            });
        }
        self.try_spawn()
            .map_err(|(plan, source)| StartError::Spawn {
                name: plan.name,
                plan,
                source,
            })
    }

    fn try_spawn(self) -> Result<Process, (Box<Self>, io::Error)> {
        let started = (|| {
            let log = File::options().create(true).append(true).open(&self.log)?;
            let log_began = log.metadata()?.len();
            let mut child = gated(self.name, &self.program)
                .args(&self.args)
                .envs(&self.env)
                .current_dir(&self.folder)
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()?;
            let gate = child.stdin.take();
            let gate = gate.ok_or_else(|| io::Error::other("no pipe"));
            match gate.and_then(|gate| Group::open(child.id(), gate)) {
                Ok(group) => Ok((child, group, log_began)),
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    Err(error)
                }
            }
        })();
        match started {
            Ok((child, group, log_began)) => Ok(Process {
                plan: self,
                log_began,
                child,
                group: Some(group),
                ended: None,
            }),
            Err(error) => Err((Box::new(self), error)),
        }
    }
}

/// Whether there is a program at this path.
pub(crate) fn is_executable(path: &Utf8Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A running child. Dropped without [`Process::stop`], it is killed.
#[derive(Debug)]
pub struct Process {
    plan: Plan,
    // What stands before is of an earlier process: a restart goes on with the same log.
    log_began: u64,
    child: Child,
    // Until the child has been reaped.
    group: Option<Group>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// What it was started from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its process number, which is its group's as well.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.ended = Some(status);
            // What it started and left behind goes with it.
            self.group = None;
        }
        self.ended
    }

    /// Resolves when the process has ended.
    pub async fn exit(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            tokio::time::sleep(EXIT_POLL).await;
        }
    }

    /// The last lines that it logged, each indented by four blanks.
    pub fn log_tail(&self) -> String {
        tail(&self.plan.log, self.log_began, TAIL_LINES)
    }

    /// Waits until `look` finds it ready; its end, or the end of the time, is an error.
    pub async fn ready<T>(
        &mut self,
        poll: Poll,
        look: impl AsyncFnMut() -> Probe<T, std::convert::Infallible>,
    ) -> Result<T, StartError> {
        let name = self.plan.name;
        let waited = tokio::select! {
            biased;
            status = self.exit() => Err(status),
            found = until(name, poll, look) => Ok(found),
        };
        match waited {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(WaitError::TimedOut { elapsed, last, .. })) => Err(StartError::TimedOut {
                name,
                elapsed,
                last: last.into_owned(),
                plan: Box::new(self.plan.clone()),
                tail: self.log_tail(),
            }),
            Ok(Err(WaitError::Fatal(never))) => match never {},
            Err(status) => Err(self.ended_early(status)),
        }
    }

    /// The error for a process that ended when it should have run.
    pub(crate) fn ended_early(&self, status: ExitStatus) -> StartError {
        StartError::Exited {
            name: self.plan.name,
            status,
            plan: Box::new(self.plan.clone()),
            tail: self.log_tail(),
        }
    }

    /// Kills it and all its group, and reaps it.
    pub async fn kill(mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.exit().await
    }

    /// Asks it to end (SIGTERM); what still runs after `grace` is killed.
    pub async fn stop(mut self, grace: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(grace, self.exit()).await {
            Ok(status) => status,
            Err(_still_running) => self.kill().await,
        }
    }

    fn signal(&mut self, signal: Signal) {
        if self.exited().is_none()
            && let Some(group) = &self.group
        {
            // It has not been reaped, so the number is still its own.
            group.signal(signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// The last lines of a file from an offset on, each indented by four blanks; what cannot be read is said. A Go
/// program that panics ends its log with a stack trace: the lines that count stand before it.
fn tail(log: &Utf8Path, from: u64, lines: usize) -> String {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let text = match std::fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned(),
        Err(error) => return format!("    (log not readable: {error})"),
    };
    let mut all: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if all.is_empty() {
        return "    (the log is empty)".to_owned();
    }
    let trace = (all.iter()).position(|line| line.starts_with("goroutine "));
    if let Some(trace) = trace {
        all.truncate(trace);
        all.push("(here the log has a stack trace)");
    }
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| match line.char_indices().nth(TAIL_COLUMNS) {
            Some((end, _)) => format!("    {}…", &line[..end]),
            None => format!("    {line}"),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(log: &str, from: u64) -> String {
        let file = tempfile::NamedTempFile::new().expect("must be made");
        std::fs::write(file.path(), log).expect("must be written");
        let path = Utf8Path::from_path(file.path()).expect("must be UTF-8");
        tail(path, from, 3)
    }

    #[test]
    fn the_last_lines_of_a_log() {
        assert_eq!(tail_of("1\n2\n\n3\n4", 0), "    2\n    3\n    4");
        assert_eq!(tail_of("\n\n", 0), "    (the log is empty)");
        assert_eq!(tail_of("old\nnew\n", 4), "    new");
        let long = tail_of(&"é".repeat(1000), 0);
        assert_eq!(long, format!("    {}…", "é".repeat(TAIL_COLUMNS)));
        let missing = tail("/nowhere/log".into(), 0, 3);
        assert!(missing.starts_with("    (log not readable: "), "{missing}");
    }

    #[test]
    fn a_stack_trace_does_not_hide_what_led_to_it() {
        let log = "no space\npanic: cannot\n\ngoroutine 1 [running]:\nmain.main()\n\t1\n\t2\n\t3\n";
        assert_eq!(
            tail_of(log, 0),
            "    no space\n    panic: cannot\n    (here the log has a stack trace)"
        );
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("--listen=[::1]:80"), "'--listen=[::1]:80'");
        assert_eq!(
            quoted("--etcd-servers=unix://a:0"),
            "--etcd-servers=unix://a:0"
        );
        assert_eq!(quoted(""), "''");
        let word = "it's $HOME \"now\" *";
        let read = shlex::split(&quoted(word)).expect("must be read back");
        assert_eq!(read, [word]);
    }
}
