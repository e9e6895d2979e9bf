//! Nothing outlives its owner: a small shell process that ends what this process started.
//!
//! A destructor does not run after `kill -9`, libtest has no hook at its exit, and a signal
//! handler needs the process to be well. A pipe needs nothing: the kernel closes it when the
//! process is gone. At the other end waits a POSIX `sh` (see `guardian.sh`), which then kills
//! the process groups and deletes the folders that it was told of.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use camino::Utf8Path;

use crate::owner::start_time;

/// What it calls itself: a word of its command line.
pub(crate) const NAME: &str = "tokenlab-guardian";

/// What lies in the container engine, and is removed by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineObject {
    /// A container, with its volumes.
    Container,
    /// A network, once nothing is attached to it.
    Network,
    /// An image's name, and the image when it has no other.
    Image,
}

impl EngineObject {
    const fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Image => "image",
        }
    }
}

/// The guardian of this process; one, started when it is first needed.
#[derive(Debug)]
pub struct Guardian {
    pipe: Mutex<ChildStdin>,
}

impl Guardian {
    /// The guardian of this process.
    pub fn get() -> io::Result<&'static Self> {
        Self::get_or_start(Stdio::null())
    }

    /// The same, holding this lock until it has ended what it was told of: whoever takes the lock
    /// finds nothing left. It must be the first to ask for the guardian.
    pub(crate) fn holding(lock: &File) -> io::Result<&'static Self> {
        // A lock (`flock(2)`) is of the open file, which its output stream is another name for.
        Self::get_or_start(lock.try_clone()?.into())
    }

    fn get_or_start(output: Stdio) -> io::Result<&'static Self> {
        static GUARDIAN: OnceLock<Guardian> = OnceLock::new();
        static START: Mutex<()> = Mutex::new(());
        let _one_starts = START.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guardian) = GUARDIAN.get() {
            return Ok(guardian);
        }
        let started = Self::start_by(Command::new("/bin/sh").stdout(output))?;
        Ok(GUARDIAN.get_or_init(|| started))
    }

    #[cfg(test)]
    fn start() -> io::Result<Self> {
        Self::start_by(Command::new("/bin/sh").stdout(Stdio::null()))
    }

    /// Its working folder and its streams belong to nobody: it must neither keep a mount busy
    /// nor hold open the pipe that somebody reads our output from. It has the environment of its
    /// owner: by that docker finds the same engine.
    fn start_by(shell: &mut Command) -> io::Result<Self> {
        let mut child = shell
            .args(["-c", include_str!("guardian.sh"), NAME])
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = child
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("no pipe"))?;
        Ok(Self {
            pipe: Mutex::new(pipe),
        })
    }

    /// Kill this process group when the owner is gone.
    ///
    /// `pid` must be a child that the caller has not reaped yet, and lead its group.
    pub(crate) fn process(&self, pid: u32) -> io::Result<()> {
        self.tell(&format!("process {pid} {}", start_time(pid)))
    }

    /// The process has been reaped.
    pub(crate) fn ended(&self, pid: u32) -> io::Result<()> {
        self.tell(&format!("ended {pid}"))
    }

    /// Delete this folder when the owner is gone. Told before the folder is made.
    pub(crate) fn folder(&self, path: &Utf8Path) -> io::Result<()> {
        one_line(path.as_str(), "a line break in the path")?;
        self.tell(&format!("folder {path}"))
    }

    /// Delete this folder when the owner is gone, if the file `lock` in it has this content: it
    /// is of a name that others may take.
    pub(crate) fn entry(&self, content: &str, path: &Utf8Path) -> io::Result<()> {
        one_line(path.as_str(), "a line break in the path")?;
        self.tell(&format!("entry {content} {path}"))
    }

    /// Do not delete this folder: it is kept on purpose, or already gone.
    pub(crate) fn keep(&self, path: &Utf8Path) -> io::Result<()> {
        self.tell(&format!("keep {path}"))
    }

    /// Delete all of this folder but `diagnostics` in it when the owner is gone.
    pub(crate) fn keep_only_in(&self, path: &Utf8Path) -> io::Result<()> {
        self.tell(&format!("only {path}"))
    }

    /// Remove this when the owner is gone. Told before it is made.
    pub(crate) fn remove(&self, object: EngineObject, name: &str) -> io::Result<()> {
        one_line(name, "a line break in the name")?;
        self.tell(&format!("{} {name}", object.word()))
    }

    /// It is gone already.
    pub(crate) fn gone(&self, object: EngineObject, name: &str) -> io::Result<()> {
        self.tell(&format!("gone {} {name}", object.word()))
    }

    /// Run this command line when the owner is gone, with its environment, for at most a minute; it
    /// may be run again. Told before there is anything for it to undo.
    pub(crate) fn run_at_the_end(&self, line: &str) -> io::Result<()> {
        one_line(line, "a line break in the command")?;
        self.tell(&format!("command {line}"))
    }

    /// It is not needed any more.
    pub(crate) fn need_not_run(&self, line: &str) -> io::Result<()> {
        self.tell(&format!("gone command {line}"))
    }

    fn tell(&self, line: &str) -> io::Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        pipe.write_all(format!("{line}\n").as_bytes())
    }
}

/// Two lines would be two orders, and the second one anything.
fn one_line(text: &str, otherwise: &'static str) -> io::Result<()> {
    if text.contains('\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, otherwise));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
