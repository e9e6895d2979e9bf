//! What happens when the shell is left.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getpgrp, tcsetpgrp};
use tokenlab_harness::named::{Client, Registry};
use tokio::process::Child;

/// What becomes of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    Keep,
    Down,
}

impl Leaving {
    /// What the user says; where nobody can be asked, or the lab has ended by now, it is kept.
    pub(super) async fn asked(client: &Client) -> anyhow::Result<Self> {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !terminal || client.status().await.is_err() {
            return Ok(Self::Keep);
        }
        let bold = anstyle::Style::new().bold();
        loop {
            let asked = write!(
                anstream::stderr(),
                "the lab `{}` still runs: {bold}[K]{bold:#}eep it or take it {bold}[d]{bold:#}own? ",
                client.name()
            );
            asked.context("the question could not be asked")?;
            let mut line = Line { ended: false };
            // On a thread of its own: a signal does not wait for the answer.
            let answer = tokio::task::spawn_blocking(|| {
                let mut answer = String::new();
                io::stdin().read_line(&mut answer).map(|_| answer)
            });
            // Without an end of line it is Ctrl-D, or the terminal is gone.
            let answer = answer.await??;
            line.ended = answer.ends_with('\n');
            if let Some(leaving) = Self::read(&answer) {
                return Ok(leaving);
            }
        }
    }

    fn read(answer: &str) -> Option<Self> {
        match answer.trim().to_ascii_lowercase().as_str() {
            "" | "k" | "keep" => Some(Self::Keep),
            "d" | "down" => Some(Self::Down),
            _ => None,
        }
    }

    pub(super) async fn act(self, client: &Client) -> anyhow::Result<()> {
        if self == Self::Keep {
            return Ok(());
        }
        let registry = Registry::from_env()?;
        // It may have ended in the shell.
        if let Some(found) = registry.find(client.name())? {
            registry.end(&found).await?;
        }
        let _ = writeln!(anstream::stderr(), "the lab `{}` has ended", client.name());
        Ok(())
    }
}

/// The line that the question stands on. Whatever ends the wait for an answer, Ctrl-C too, what is
/// written next stands on another.
struct Line {
    ended: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.ended {
            let _ = writeln!(anstream::stderr());
        }
    }
}

/// Waits for the shell, and tells its exit status as a shell would.
pub(super) async fn wait(shell: Child) -> anyhow::Result<ExitCode> {
    let mut shell = HungUp(shell);
    let status = shell.0.wait().await.context("the shell was lost")?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    let code = status.code().or(signal.map(|signal| 128 + signal));
    let code = code.and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// A shell that is told when nobody waits for it any more, as if its terminal was gone.
struct HungUp(Child);

impl Drop for HungUp {
    fn drop(&mut self) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            let _ = kill(Pid::from_raw(id), Signal::SIGHUP);
        }
    }
}

/// The terminal, which an interactive shell takes, and one that is killed does not give back.
pub(super) struct Terminal(bool);

impl Terminal {
    pub(super) fn of_stdin() -> Self {
        Self(io::stdin().is_terminal())
    }

    pub(super) fn take_back(&self) {
        if !self.0 {
            return;
        }
        // Whoever is in the background and takes it is stopped by this signal, if it can be.
        let mut stops = SigSet::empty();
        stops.add(Signal::SIGTTOU);
        if let Ok(before) = stops.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK) {
            let _ = tcsetpgrp(io::stdin(), getpgrp());
            let _ = before.thread_set_mask();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_keep_is_what_no_answer_means() {
        assert_eq!(Leaving::read(""), Some(Leaving::Keep));
        assert_eq!(Leaving::read(" K \n"), Some(Leaving::Keep));
        assert_eq!(Leaving::read("down"), Some(Leaving::Down));
        assert_eq!(Leaving::read("what?"), None);
    }
}
