//! The run folder: all that one lab writes, in one place that goes with it.

pub(crate) mod children;

use std::collections::HashSet;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use tokenlab_webhook::Token;

use crate::diagnostics;
use crate::guardian::Guardian;
use crate::owner::Owner;

/// Set to anything but `0` or nothing, it keeps every run folder.
pub const KEEP: &str = "LAB_KEEP";

/// The file that each command line stands in before it is run, in this order.
pub(crate) const COMMAND_LINES: &str = "command-lines";

/// The file that says which process made the folder; see [`Owner`].
pub(crate) const OWNER: &str = "owner";

/// The file that says that the folder was left on purpose.
pub(crate) const KEPT: &str = "kept";

/// A folder of its own for each lab: logs, keys, kubeconfigs, command lines.
///
/// It is `tokenlab-<random>` in the system's folder for temporary files (`TMPDIR`), with mode
/// 0700; keys and kubeconfigs in it have 0600. It is deleted when dropped, and by the
/// guardian when its owner is gone, unless it is [kept](Self::keep). A lab's folder is kept, too,
/// when the lab is dropped without having been stopped: then a test has failed half-way.
///
/// The file `owner` in it names the process that made it, and `kept` says that it was left on purpose:
/// so [`strays`](crate::strays) tells one that is used, one that is kept, and one that was lost.
///
/// A kept folder is for its user alone: its kubeconfigs work as long as the lab does. `diagnostics`
/// in it, which a failed lab leaves, is for others: tokens and keys are redacted there.
#[derive(Debug)]
pub struct RunFolder {
    path: Utf8PathBuf,
    guardian: &'static Guardian,
    kept: AtomicBool,
    evidence: AtomicBool,
    diagnostics: Mutex<Diagnostics>,
    /// Those that stand in no file here, and may stand in a log.
    tokens: Mutex<HashSet<Token>>,
}

/// What is to become of the folder `diagnostics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Diagnostics {
    /// There is none.
    Nothing,
    /// It is there, in a folder that is kept.
    Told,
    /// It is what stays of the folder.
    Alone,
}

/// Why a file or folder of a lab could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// The folder itself could not be made.
    #[error("the run folder `{path}` could not be made")]
    Create {
        /// The folder.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file in it could not be written.
    #[error("`{path}` could not be written")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl RunFolderError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let (Self::Create { source, .. } | Self::Write { source, .. }) = self;
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("free some space, or set TMPDIR to a folder on another disk".to_owned())
            }
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::ReadOnlyFilesystem => {
                Some("set TMPDIR to a folder that you may write to".to_owned())
            }
            io::ErrorKind::InvalidInput => {
                Some("set TMPDIR to a folder whose path is UTF-8 and has no line break".to_owned())
            }
            _ => None,
        }
    }
}

impl RunFolder {
    /// Makes a new folder where the system keeps temporary files; the path is made absolute.
    pub fn create() -> Result<Self, RunFolderError> {
        let parent = match std::env::temp_dir() {
            empty if empty.as_os_str().is_empty() => "/tmp".into(),
            parent => parent,
        };
        Self::create_in_any(&parent)
    }

    /// Makes a new folder in this one.
    pub fn create_in(parent: &Utf8Path) -> Result<Self, RunFolderError> {
        Self::create_in_any(parent.as_std_path())
    }

    fn create_in_any(parent: &Path) -> Result<Self, RunFolderError> {
        let path = parent.join(format!("tokenlab-{}", random_name()));
        // Guardian and processes work elsewhere: a relative path would lead them astray.
        let absolute = std::path::absolute(&path).and_then(|path| {
            let not_utf8 = |_| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8");
            Utf8PathBuf::from_path_buf(path).map_err(not_utf8)
        });
        let path = absolute.map_err(|source| RunFolderError::Create {
            path: Utf8PathBuf::from(path.to_string_lossy().into_owned()),
            source,
        })?;
        let made = (|| {
            let guardian = Guardian::get()?;
            guardian.folder(&path)?;
            // Not `create_dir_all`: a folder that is already there is somebody else's.
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .inspect_err(|_| drop(guardian.keep(&path)))?;
            let owner = format!("{}\n", Owner::current());
            create(&path.join(OWNER))
                .and_then(|mut file| file.write_all(owner.as_bytes()))
                .inspect_err(|_| drop(std::fs::remove_dir_all(&path)))?;
            Ok(guardian)
        })();
        match made {
            Ok(guardian) => {
                let folder = Self {
                    path,
                    guardian,
                    kept: AtomicBool::new(false),
                    evidence: AtomicBool::new(false),
                    diagnostics: Mutex::new(Diagnostics::Nothing),
                    tokens: Mutex::default(),
                };
                if std::env::var(KEEP).is_ok_and(|value| !matches!(&*value, "" | "0")) {
                    folder.keep();
                }
                Ok(folder)
            }
            Err(source) => Err(RunFolderError::Create { path, source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> Utf8PathBuf {
        self.path.join(name)
    }

    /// Makes a folder in it, mode 0700.
    pub fn folder(&self, name: &str) -> Result<Utf8PathBuf, RunFolderError> {
        let path = self.file(name);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(RunFolderError::Create { path, source })
            }
            _ => Ok(path),
        }
    }

    /// Writes a file that only the user may read (0600), in one step: a reader sees the old
    /// text or the new one.
    pub fn write(&self, name: &str, contents: &str) -> Result<Utf8PathBuf, RunFolderError> {
        write(&self.path, name, contents)
    }

    /// Whether dropping the folder means that something went wrong, so that it is kept.
    pub(crate) fn set_evidence(&self, evidence: bool) {
        self.evidence.store(evidence, Ordering::Relaxed);
    }

    /// Leaves the folder where it is, whatever comes, and says so on standard error.
    pub fn keep(&self) {
        if !self.kept.swap(true, Ordering::Relaxed) {
            let _ = self.guardian.keep(&self.path);
            // Unmarked it would be taken for one that lost its owner.
            let _ = create(&self.file(KEPT));
            say(&format!("the run folder is kept: {}", self.path));
        }
    }

    /// Has this token redacted in `diagnostics`: one that the lab's webhook may be shown.
    pub(crate) fn know(&self, token: &Token) {
        self.tokens().insert(token.clone());
    }

    /// Begins `diagnostics`.
    pub(crate) fn bundle(&self) -> Result<diagnostics::Bundle, RunFolderError> {
        let mut bundle = diagnostics::Bundle::begin(&self.path)?;
        for token in &*self.tokens() {
            bundle.know(token.expose());
        }
        Ok(bundle)
    }

    fn tokens(&self) -> MutexGuard<'_, HashSet<Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the folder after a failure, with `diagnostics` in it: copies of what the lab wrote,
    /// with tokens and keys redacted.
    pub(crate) fn keep_evidence(&self) {
        self.keep();
        // One after the other: each failure of a shared lab comes here.
        let mut state = self.state();
        let copied = self.bundle().and_then(|mut bundle| {
            bundle.copy_run_folder();
            bundle.finish("What a lab had written when it, or a test in it, failed.")
        });
        // That nothing could be copied is no second failure: the originals are there.
        if copied.is_ok() {
            self.tell_of_diagnostics(&mut state);
        }
    }

    /// Leaves `diagnostics`, which is there, and of the rest nothing once this is dropped or its
    /// owner is gone; all of it when the folder is kept anyway.
    pub(crate) fn keep_diagnostics(&self) {
        let mut state = self.state();
        self.tell_of_diagnostics(&mut state);
        if !self.kept.load(Ordering::Relaxed) && self.guardian.keep_only_in(&self.path).is_ok() {
            *state = Diagnostics::Alone;
        }
    }

    fn tell_of_diagnostics(&self, state: &mut Diagnostics) {
        if *state == Diagnostics::Nothing {
            *state = Diagnostics::Told;
            say(&format!(
                "diagnostics, with tokens and keys redacted: {}",
                self.file(diagnostics::NAME)
            ));
        }
    }

    fn state(&self) -> MutexGuard<'_, Diagnostics> {
        let state = self.diagnostics.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes all but `diagnostics`.
    fn prune(&self) -> io::Result<()> {
        for entry in self.path.read_dir_utf8()? {
            let entry = entry?;
            match entry.file_type()? {
                _ if entry.file_name() == diagnostics::NAME => {}
                kind if kind.is_dir() => std::fs::remove_dir_all(entry.path())?,
                _ => std::fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }
}

/// Past libtest's capture, which would be lost where it matters: a shared lab is not the failing
/// test's own. Nobody reading is no reason to fail.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "tokenlab: {what}");
}

/// Makes a file that only the user may read, or empties it.
fn create(path: &Utf8Path) -> io::Result<std::fs::File> {
    std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// [`RunFolder::write`], for those who only know where the folder is.
pub(crate) fn write(
    folder: &Utf8Path,
    name: &str,
    contents: &str,
) -> Result<Utf8PathBuf, RunFolderError> {
    let path = folder.join(name);
    let new = folder.join(format!(".{name}.new"));
    let written = (|| {
        create(&new)?.write_all(contents.as_bytes())?;
        std::fs::rename(&new, &path)
    })();
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(RunFolderError::Write { path, source }),
    }
}

/// Adds a line to a file of command lines.
pub(crate) fn record(path: &Utf8Path, line: &str) -> Result<(), RunFolderError> {
    let opened = std::fs::File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    // In one piece: kubectl may run side by side.
    let written = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.map_err(|source| RunFolderError::Write {
        path: path.to_owned(),
        source,
    })
}

impl Drop for RunFolder {
    /// Deletes the folder, unless it is kept, is evidence, or is dropped by a panic; or all of it
    /// but `diagnostics`.
    fn drop(&mut self) {
        let alone = *self.state() == Diagnostics::Alone;
        if !alone && (*self.evidence.get_mut() || std::thread::panicking()) {
            self.keep_evidence();
        }
        let gone = match (*self.kept.get_mut(), alone) {
            (true, _) => return,
            (false, true) => self.prune(),
            (false, false) => std::fs::remove_dir_all(&self.path),
        };
        if gone.is_ok() {
            let _ = self.guardian.keep(&self.path);
        }
    }
}

/// Twelve characters that nobody else has chosen. The standard library keys the hashers of each
/// thread from the operating system's random source, once, and counts up from there: no two of
/// one thread are alike, nor of two threads or processes, but by chance (48 bits).
pub(crate) fn random_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    let value = RandomState::new().hash_one(std::process::id());
    format!("{value:016x}")[..12].to_owned()
}

/// Whether a run folder may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let random = name.strip_prefix("tokenlab-");
    random.is_some_and(|random| {
        random.len() == 12
            && random
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// The run folder that a path lies in, or is.
pub(crate) fn run_folder_of(path: &Utf8Path) -> Option<&Utf8Path> {
    path.ancestors()
        .find(|path| path.file_name().is_some_and(is_name))
}

#[cfg(test)]
mod tests;
