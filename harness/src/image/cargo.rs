//! A running cargo: what it gets, what it says, how it ends.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, ExitStatus};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::group::{Group, gated};
use crate::progress::Bar;

/// How many of the last lines an error shows.
const TAIL: usize = 12;

/// A cargo and the compilers that it runs. Dropped, they are killed; so they are when this
/// process is gone.
#[derive(Debug)]
pub(super) struct Cargo {
    child: Child,
    group: Group,
}

impl Cargo {
    /// Starts a command line that writes all it says to a log.
    ///
    /// It gets the environment: without `RUSTUP_TOOLCHAIN` rustup takes each crate's own
    /// `rust-toolchain.toml` for an order, and installs what that asks for.
    pub(super) fn start(
        words: &[String],
        folder: &Utf8Path,
        flags: &str,
        log: &Utf8Path,
    ) -> io::Result<Self> {
        // A cargo that runs this process tells it about a package, and build scripts (ring's)
        // look at that: all would be compiled anew, depending on who asks. And a profile that somebody
        // set by the environment would make another program.
        const OTHERS: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_PROFILE_"];
        let other = |name: &str| OTHERS.iter().any(|prefix| name.starts_with(prefix));
        let environment = std::env::vars_os().filter(|(name, _)| !name.to_str().is_some_and(other));
        let (program, args) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let log = File::create(log)?;
        let mut child = gated("cargo", Utf8Path::new(program))
            .args(args)
            .envs(environment)
            // Before all other places that flags can come from, so that they are the same for
            // everyone.
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            // Incremental code is other code: the same sources would give another program.
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .current_dir(folder)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let group = Group::of(&mut child)?;
        Ok(Self { child, group })
    }

    /// How it ended; `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        self.group.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Reads what cargo says, as it says it.
#[derive(Debug)]
pub(super) struct Watch {
    log: BufReader<File>,
    wanted: &'static str,
    line: Vec<u8>,
    crates: u64,
    pub(super) program: Option<Utf8PathBuf>,
    said: Vec<String>,
}

/// One of cargo's messages (the Cargo book, "External tools", "JSON messages").
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<Utf8PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Watch {
    /// Opens the log; `wanted` is the name of the program to look for.
    pub(super) fn open(log: &Utf8Path, wanted: &'static str) -> io::Result<Self> {
        Ok(Self {
            wanted,
            log: BufReader::new(File::open(log)?),
            line: Vec::new(),
            crates: 0,
            program: None,
            said: Vec::new(),
        })
    }

    /// Reads the lines that have been completed since.
    pub(super) fn look(&mut self, bar: &Bar) -> io::Result<()> {
        while self.log.read_until(b'\n', &mut self.line)? > 0 && self.line.ends_with(b"\n") {
            let line = std::mem::take(&mut self.line);
            self.read(String::from_utf8_lossy(&line).trim_end(), bar);
        }
        Ok(())
    }

    fn read(&mut self, line: &str, bar: &Bar) {
        let Ok(message) = serde_json::from_str::<Message>(line) else {
            bar.at(line.trim());
            self.said.push(line.to_owned());
            return;
        };
        if message.reason == "compiler-artifact" {
            self.crates += 1;
            bar.set(self.crates);
            let ours = message
                .target
                .is_some_and(|target| target.name == self.wanted);
            if ours && message.executable.is_some() {
                self.program = message.executable;
            }
        }
    }

    /// The last lines that were for people, indented.
    pub(super) fn tail(&self) -> String {
        let said: Vec<_> = (self.said.iter())
            .filter(|line| !line.trim().is_empty())
            .map(|line| format!("  {line}"))
            .collect();
        said[said.len().saturating_sub(TAIL)..].join("\n")
    }
}
