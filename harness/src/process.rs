//! A child process: what will run, printable; then running; then stopped.

mod error;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;

use crate::group::{Group, gated, gated_in_full};
use crate::log_tail;
use crate::run_folder::{COMMAND_LINES, children};
use crate::wait::{Poll, Probe, WaitError, until};
pub use error::StartError;

/// How often a child is asked whether it has ended. The question is one `waitpid`.
const EXIT_POLL: Duration = Duration::from_millis(10);

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
    pub env: BTreeMap<String, String>,
    /// Whether that is all of the owner's environment, as somebody's own program needs it, or `PATH`
    /// alone.
    pub inherit: bool,
    /// Its working folder.
    pub folder: Utf8PathBuf,
    /// The file that its two output streams are appended to.
    pub log: Utf8PathBuf,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let args = self.args.iter().map(String::as_str);
        let line = command_line(env, std::iter::once(self.program.as_str()).chain(args));
        write!(f, "cd {} && {line}", quoted(self.folder.as_str()))
    }
}

/// A command line for a shell. Of a variable the value alone is quoted: a shell takes a quoted
/// `NAME=value` for the command's name.
pub(crate) fn command_line<'a>(
    env: impl IntoIterator<Item = (&'a str, &'a str)>,
    words: impl IntoIterator<Item = &'a str>,
) -> String {
    let env = env.into_iter();
    let variables = env.map(|(name, value)| format!("{name}={}", quoted(value)));
    let words = words.into_iter().map(|word| quoted(word).into_owned());
    variables.chain(words).collect::<Vec<_>>().join(" ")
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

impl Plan {
    /// The command line as an error tells it. One that would fill a screen, and hide what the program
    /// said, stands in the run folder: that is the one that the folder of the logs is in.
    pub(crate) fn told(&self) -> String {
        const LONGEST: usize = 160;
        let line = self.to_string();
        let folder = self.log.parent().and_then(Utf8Path::parent);
        let record = folder.map(|folder| folder.join(COMMAND_LINES));
        match record.filter(|record| line.len() > LONGEST && record.exists()) {
            Some(record) => format!("in `{record}`"),
            None => line,
        }
    }

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
            let mut child = if self.inherit {
                gated_in_full(self.name, &self.program)
            } else {
                gated(self.name, &self.program)
            };
            let mut child = child
                .args(&self.args)
                .envs(&self.env)
                .current_dir(&self.folder)
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()?;
            // Noted before it runs. Where that fails, it never does: the gate stays shut.
            if let Err(error) = children::note(&self.log, child.id()) {
                drop(child.stdin.take());
                let _ = child.wait();
                return Err(error);
            }
            let group = Group::of(&mut child)?;
            Ok((child, group, log_began))
        })();
        match started {
            Ok((child, group, log_began)) => Ok(Process {
                plan: self,
                log_began,
                life: Mutex::new(Life {
                    child,
                    group: Some(group),
                    ended: None,
                }),
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

/// The program of this name on `PATH`, found as a shell finds it; its path is absolute.
pub(crate) fn on_path(name: &str) -> Option<Utf8PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter_map(|folder| Utf8PathBuf::from_path_buf(std::path::absolute(folder).ok()?).ok())
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
}

/// A running child. Dropped without [`Process::stop`], it is killed.
#[derive(Debug)]
pub struct Process {
    plan: Plan,
    // What stands before is of an earlier process: a restart goes on with the same log.
    log_began: u64,
    life: Mutex<Life>,
}

#[derive(Debug)]
struct Life {
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
        self.life().child.id()
    }

    /// Its arguments, without its own name: as the system tells them where there is `/proc`,
    /// elsewhere as they were given.
    pub(crate) fn args(&self) -> io::Result<Vec<String>> {
        if !cfg!(target_os = "linux") {
            return Ok(self.plan.args.clone());
        }
        let line = std::fs::read(format!("/proc/{}/cmdline", self.id()))?;
        let words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let mut words: Vec<_> = words.map(Cow::into_owned).collect();
        // Each word ends with a zero, the last one too (`proc(5)`).
        words.pop();
        Ok(words.into_iter().skip(1).collect())
    }

    /// How it ended; `None` while it runs.
    pub fn exited(&self) -> Option<ExitStatus> {
        let mut life = self.life();
        if life.ended.is_none()
            && let Ok(Some(status)) = life.child.try_wait()
        {
            life.ended = Some(status);
            // What it started and left behind goes with it.
            life.group = None;
        }
        life.ended
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when the process has ended.
    pub async fn exit(&self) -> ExitStatus {
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            tokio::time::sleep(EXIT_POLL).await;
        }
    }

    /// The last lines that it logged, each indented by four blanks.
    pub fn log_tail(&self) -> String {
        log_tail::tail(&self.plan.log, self.log_began, log_tail::LINES)
    }

    /// Waits until `look` finds it ready; its end, or the end of the time, is an error.
    pub async fn ready<T, F: Future<Output = Probe<T, std::convert::Infallible>>>(
        &self,
        poll: Poll,
        look: impl FnMut() -> F,
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
                tail: self.log_tail(),
                plan: Box::new(self.plan.clone()),
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
            tail: self.log_tail(),
            plan: Box::new(self.plan.clone()),
        }
    }

    /// Kills it and all its group, and reaps it.
    pub async fn kill(self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.exit().await
    }

    /// Asks it to end (SIGTERM); what still runs after `grace` is killed.
    pub async fn stop(self, grace: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(grace, self.exit()).await {
            Ok(status) => status,
            Err(_still_running) => self.kill().await,
        }
    }

    fn signal(&self, signal: Signal) {
        if self.exited().is_none()
            && let Some(group) = &self.life().group
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
            let _ = self.life().child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_shell_reads_a_command_line_back_with_its_variables() {
        let line = command_line(
            [("WORDS", "it's two"), ("NONE", "")],
            ["printf", "%s|", "a b"],
        );
        assert_eq!(line, "WORDS=\"it's two\" NONE='' printf '%s|' 'a b'");
        let env = format!("{line}; WORDS='it is' sh -c 'echo $WORDS'");
        let output = std::process::Command::new("sh").args(["-c", &env]).output();
        let output = output.expect("must run").stdout;
        assert_eq!(String::from_utf8_lossy(&output), "a b|it is\n");
    }
}
