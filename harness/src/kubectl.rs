//! kubectl as one identity, and what came of a command.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::process::ExitStatus;

use camino::{Utf8Path, Utf8PathBuf};

use crate::group::gated;
use crate::kubeconfig::Kubeconfig;
use crate::process::command_line;
use crate::run_folder::{self, COMMAND_LINES, RunFolder, RunFolderError, random_name};
use crate::tool::{Input, run_to_its_end};

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

impl From<std::process::Output> for Output {
    /// What is no UTF-8 is replaced: it is for people to read.
    fn from(output: std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            status: output.status,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
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

/// One that is of use for a while. Dropped, it leaves no kubeconfig and no home behind.
#[derive(Debug)]
pub(crate) struct Passing(Kubectl);

impl Deref for Passing {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.0
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // What stays goes with the run folder.
        let _ = std::fs::remove_file(&self.0.kubeconfig);
        let _ = std::fs::remove_dir_all(&self.0.home);
    }
}

impl Kubectl {
    /// Writes the kubeconfig into the run folder. `name` begins the file's name.
    pub(crate) fn new(
        program: &Utf8Path,
        folder: &RunFolder,
        name: &str,
        kubeconfig: &Kubeconfig,
    ) -> Result<Self, KubectlError> {
        Self::of_file(program, folder, name, &kubeconfig.yaml())
    }

    /// The same with a kubeconfig that is text already.
    pub(crate) fn of_file(
        program: &Utf8Path,
        folder: &RunFolder,
        name: &str,
        kubeconfig: &str,
    ) -> Result<Self, KubectlError> {
        let file = format!("{name}-{}.kubeconfig", random_name());
        let kubeconfig = folder.write(&file, kubeconfig)?;
        Ok(Self {
            program: program.to_owned(),
            home: kubeconfig.with_extension("home"),
            kubeconfig,
            log: folder.file(COMMAND_LINES),
        })
    }

    /// The program.
    pub fn program(&self) -> &Utf8Path {
        &self.program
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> &Utf8Path {
        &self.kubeconfig
    }

    /// The same, whose kubeconfig and home go with it.
    pub(crate) fn passing(self) -> Passing {
        Passing(self)
    }

    /// Runs it to its end. Dropped before that, it is killed.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output, KubectlError> {
        let args: Vec<A> = args.into_iter().collect();
        let words = args.iter().map(|word| word.as_ref().to_string_lossy());
        let words: Vec<_> = words.collect();
        let begin = ["kubectl", "--kubeconfig", self.kubeconfig.as_str()];
        let words = begin.into_iter().chain(words.iter().map(AsRef::as_ref));
        run_folder::record(&self.log, &command_line([], words))?;
        let mut command = gated("kubectl", &self.program);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            .env("HOME", &self.home);
        let output = run_to_its_end(&self.program, command, Input::Nothing).await;
        output.map_err(|source| KubectlError::Spawn {
            program: self.program.clone(),
            source,
        })
    }
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
