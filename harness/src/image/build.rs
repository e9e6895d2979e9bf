//! The program of the image, built by cargo.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::cargo::{Cargo, Watch};
use crate::process::{is_executable, quoted};
use crate::progress::{Progress, Unit};
use crate::run_folder::{RunFolder, RunFolderError};

/// The package, and its program.
const WEBHOOK: &str = "tokenlab-webhook";

/// The profile in the workspace's `Cargo.toml`.
const PROFILE: &str = "image";

/// How often the log is looked at for what to show.
const LOOK: Duration = Duration::from_millis(100);

/// Why cargo built no program.
#[derive(Debug, thiserror::Error)]
pub enum ImageBuildError {
    /// The workspace that this program was compiled from is not here.
    #[error("there is no source of tokenlab-webhook: `{looked}` is not there")]
    NoSource {
        /// The file that was looked for.
        looked: Utf8PathBuf,
    },
    /// Only Linux links programs for Linux without more tools.
    #[error("a program for Linux cannot be linked on {os}")]
    NotLinux {
        /// This system.
        os: &'static str,
    },
    /// There is no cargo.
    #[error("`{cargo}` is not {}", if cargo.as_str().contains('/') { "a program" } else { "on PATH" })]
    NoCargo {
        /// What was looked for.
        cargo: Utf8PathBuf,
    },
    /// The folder for its log could not be made.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// It could not be started, or what it says could not be read.
    #[error("`{command}` could not be run")]
    Run {
        /// The command line.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It failed.
    #[error("`{command}` ended with {status}; its last lines:\n{tail}\nall of it: {log}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote, indented.
        tail: String,
        /// The file with all of its output.
        log: Utf8PathBuf,
    },
    /// It succeeded and did not name a program.
    #[error("`{command}` built no program; all that it said: {log}")]
    NoProgram {
        /// The command line.
        command: String,
        /// The file with all of its output.
        log: Utf8PathBuf,
    },
}

impl ImageBuildError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let give = "give a static tokenlab-webhook for Linux with `--program FILE`";
        match self {
            Self::NoSource { .. } => Some(format!(
                "{give}, or run this from the repository: cargo lab image build"
            )),
            Self::NotLinux { .. } => Some(give.to_owned()),
            Self::NoCargo { .. } => Some(format!(
                "install Rust (https://rustup.rs) and put cargo on PATH, or {give}"
            )),
            Self::Folder(error) => error.hint(),
            Self::Failed { tail, .. } => hint(tail).map(str::to_owned),
            Self::Run { .. } | Self::NoProgram { .. } => None,
        }
    }
}

/// What the last lines of cargo mean. The texts are those of cargo, rustc and the linkers.
fn hint(tail: &str) -> Option<&'static str> {
    let says = |texts: &[&str]| texts.iter().any(|text| tail.contains(text));
    if says(&["No space left on device", "os error 28"]) {
        Some("free some space: the build takes about 300 MB in the target folder")
    } else if says(&["cannot find -lc", "unable to find library -lc"]) {
        Some(
            "install the static C library: glibc-static on Fedora and its kin, libc6-dev on Debian's",
        )
    } else if says(&["can't find crate for `core`", "target may not be installed"]) {
        Some("install the standard library of that target: rustup target add TARGET")
    } else if says(&["linker `cc` not found"]) {
        Some("install a C compiler: gcc or clang")
    } else if says(&[
        "failed to download",
        "failed to get `",
        "Could not resolve host",
        "Couldn't connect",
    ]) {
        Some("let cargo reach a crate registry, or fetch once while it can: cargo fetch --locked")
    } else if says(&[
        "needs to be updated but --locked",
        "cannot update the lock file",
    ]) {
        Some("bring Cargo.lock up to date: cargo metadata >/dev/null")
    } else {
        None
    }
}

/// How the program is built.
#[derive(Debug)]
pub(super) struct Build<'a> {
    pub(super) cargo: Option<&'a Utf8Path>,
    pub(super) workspace: &'a Utf8Path,
    pub(super) ldap: bool,
    pub(super) progress: &'a Progress,
}

/// The workspace that this crate was compiled from; there, unless it came from a registry or
/// the program was moved to another machine.
pub(super) fn own_workspace() -> &'static Utf8Path {
    let harness = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.parent().unwrap_or(harness)
}

impl Build<'_> {
    /// Builds the program, and tells where it is. Cargo compiles only what has changed. When it
    /// fails, its log is kept.
    pub(super) async fn run(&self) -> Result<Utf8PathBuf, ImageBuildError> {
        let manifest = self.workspace.join("webhook/Cargo.toml");
        if !manifest.is_file() {
            return Err(ImageBuildError::NoSource { looked: manifest });
        }
        if !cfg!(target_os = "linux") {
            return Err(ImageBuildError::NotLinux {
                os: std::env::consts::OS,
            });
        }
        let words = self.command(&self.cargo()?);
        let command: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        let command = command.join(" ");
        let folder = RunFolder::create()?;
        let log = folder.file("cargo.log");
        let watched = self.watch(&words, &log).await;
        let (status, watch) = watched.map_err(|source| ImageBuildError::Run {
            command: command.clone(),
            source,
        })?;
        if !status.success() {
            folder.keep();
            return Err(ImageBuildError::Failed {
                command,
                status,
                tail: watch.tail(),
                log,
            });
        }
        watch.program.ok_or_else(|| {
            folder.keep();
            ImageBuildError::NoProgram { command, log }
        })
    }

    async fn watch(&self, words: &[String], log: &Utf8Path) -> io::Result<(ExitStatus, Watch)> {
        let bar = self
            .progress
            .bar("building tokenlab-webhook for the image", 0, Unit::Packages);
        let mut cargo = Cargo::start(words, self.workspace, &self.flags(), log)?;
        let mut watch = Watch::open(log, WEBHOOK)?;
        let status = loop {
            // Asked first: what is read then is all that it said.
            let ended = cargo.ended()?;
            watch.look(&bar)?;
            match ended {
                Some(status) => break status,
                None => tokio::time::sleep(LOOK).await,
            }
        };
        if status.success() {
            bar.finish();
        }
        Ok((status, watch))
    }

    /// The cargo that is named, or that runs this (it says so by `CARGO`), or the one on `PATH`.
    fn cargo(&self) -> Result<Utf8PathBuf, ImageBuildError> {
        let named = self.cargo.map(ToOwned::to_owned);
        let cargo = named
            .or_else(|| Some(std::env::var("CARGO").ok()?.into()))
            .unwrap_or_else(|| "cargo".into());
        let is_program = |path: &Utf8PathBuf| is_executable(path);
        let found = if cargo.as_str().contains('/') {
            // Cargo runs in the workspace: a relative path would be another one there.
            (std::path::absolute(&cargo).ok())
                .and_then(|path| Utf8PathBuf::from_path_buf(path).ok())
                .filter(is_program)
        } else {
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .filter_map(|folder| {
                    Utf8PathBuf::from_path_buf(std::path::absolute(folder).ok()?).ok()
                })
                .map(|folder| folder.join(&cargo))
                .find(is_program)
        };
        found.ok_or(ImageBuildError::NoCargo { cargo })
    }

    fn command(&self, cargo: &Utf8Path) -> Vec<String> {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let words = [
            cargo.as_str(),
            "build",
            "--locked",
            "--package",
            WEBHOOK,
            "--bin",
            WEBHOOK,
            // What is not for serving stays out of it, and out of the time that it takes.
            "--no-default-features",
            "--features",
            if self.ldap { "image,ldap" } else { "image" },
            "--profile",
            PROFILE,
            // Named, the flags below are for the program alone: a static proc macro cannot be.
            "--target",
            &target,
            // One line of JSON for each crate, which tells where the program is.
            "--message-format",
            "json-render-diagnostics",
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Linked statically, and without the names of this machine's folders in it: they are
    /// nobody's business, and would make everyone's image another.
    fn flags(&self) -> String {
        let mut flags = vec![
            "-Ctarget-feature=+crt-static".to_owned(),
            // Without it each address in the program's data takes 24 octets more in its file.
            "-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned(),
            format!("--remap-path-prefix={}=/tokenlab", self.workspace),
        ];
        // To cargo an empty one is none; rustc would put the prefix before every path.
        let home = std::env::var("CARGO_HOME").ok();
        let home = home.filter(|home| !home.is_empty()).or_else(|| {
            let home = Utf8PathBuf::from_path_buf(std::env::home_dir()?).ok()?;
            Some(home.join(".cargo").into_string())
        });
        flags.extend(home.map(|home| format!("--remap-path-prefix={home}=/cargo")));
        flags.join("\u{1f}")
    }
}
