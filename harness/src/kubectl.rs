//! kubectl as one identity, and what came of a command.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};

use camino::{Utf8Path, Utf8PathBuf};

use crate::group::{Group, gated};
use crate::kubeconfig::Kubeconfig;
use crate::process::{is_executable, quoted};
use crate::run_folder::{self, COMMAND_LINES, RunFolder, RunFolderError, random_name};

/// kubectl with a kubeconfig of its own and a home of its own: nothing of the user's own
/// configuration, cache or plugins reaches it, and a token is never on its command line.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: Utf8PathBuf,
    kubeconfig: Utf8PathBuf,
    home: Utf8PathBuf,
    log: Utf8PathBuf,
}

/// What came of a command that ran. An exit code other than 0 is a result, not an error.
///
/// `Display` is a stable text: the exit code, then each stream that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Why kubectl did not run.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// Its kubeconfig could not be written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// It could not be started.
    #[error("`{program}` could not be run")]
    Spawn {
        /// The program.
        program: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Kubectl {
    /// Writes the kubeconfig into the run folder. `name` begins the file's name.
    pub(crate) fn new(
        program: &Utf8Path,
        folder: &RunFolder,
        name: &str,
        kubeconfig: &Kubeconfig,
    ) -> Result<Self, KubectlError> {
        let kubeconfig = folder.write(
            &format!("{name}-{}.kubeconfig", random_name()),
            &kubeconfig.yaml(),
        )?;
        Ok(Self {
            program: program.to_owned(),
            home: kubeconfig.with_extension("home"),
            kubeconfig,
            log: folder.file(COMMAND_LINES),
        })
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> &Utf8Path {
        &self.kubeconfig
    }

    /// Runs it to its end. Dropped before that, it is killed.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output, KubectlError> {
        let args: Vec<A> = args.into_iter().collect();
        let words = args.iter().map(|word| word.as_ref().to_string_lossy());
        let words: Vec<_> = words.map(|word| quoted(&word).into_owned()).collect();
        let kubeconfig = quoted(self.kubeconfig.as_str());
        let line = format!("kubectl --kubeconfig {kubeconfig} {}", words.join(" "));
        run_folder::record(&self.log, &line)?;
        let mut command = tokio::process::Command::from(gated("kubectl", &self.program));
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            .env("HOME", &self.home)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = output(&self.program, command).await;
        let output = output.map_err(|source| KubectlError::Spawn {
            program: self.program.clone(),
            source,
        })?;
        Ok(Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Runs it to its end; it is not to outlive its owner either, nor to write to the run folder
/// that the guardian deletes.
async fn output(
    program: &Utf8Path,
    mut command: tokio::process::Command,
) -> io::Result<std::process::Output> {
    if !is_executable(program) {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "not an executable file",
        ));
    }
    let mut child = command.spawn()?;
    let (Some(pid), Some(gate)) = (child.id(), child.stdin.take()) else {
        return Err(io::Error::other("no pipe"));
    };
    let _group = Group::open(pid, gate.into_owned_fd()?)?;
    child.wait_with_output().await
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status.code() {
            Some(code) => writeln!(f, "exit code: {code}")?,
            None => writeln!(f, "{}", self.status)?,
        }
        for (stream, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "----- {stream} -----\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}
