//! The right to fill one version's folder of the store, and how it is filled.
//!
//! Everything that is under way lies in the store's folder `.tokenlab`: the lock of each version,
//! what a cut download left, the log of a build, and temporary folders. Only a folder with all
//! three programs is moved to where it counts, by a rename; so killing at any moment leaves nothing
//! that is taken for whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::program::Program;
use super::store::{Store, StoreError, unwritable};
use crate::progress::Progress;

/// How often a lock that another holds is tried.
const EVERY: Duration = Duration::from_millis(100);

/// A version's lock in the store. It ends with the value, and with the process.
#[derive(Debug)]
pub(super) struct Claim {
    /// Dropping it gives the lock back; its content names the holder.
    lock: File,
    /// The store's folder `.tokenlab`.
    folder: Utf8PathBuf,
    /// What all files of this version are called: `1.37.2-linux-amd64`.
    name: String,
    /// Where the programs go.
    target: Utf8PathBuf,
}

impl Claim {
    /// Takes the lock, waiting for whoever holds it.
    pub(super) async fn take(
        store: Store<'_>,
        version: &Version,
        patience: Duration,
        progress: &Progress,
    ) -> Result<Self, StoreError> {
        let folder = store.workshop()?;
        let name = store.name(version);
        let path = folder.join(format!("{name}.lock"));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(unwritable(&path))?;
        let lock = if try_lock(&lock, &path)? {
            lock
        } else {
            let holder = holder(&path);
            let title = format!(
                "waiting for another process that is fetching Kubernetes {version} ({holder})"
            );
            progress.step(&title, wait(lock, &path, patience)).await?
        };
        let claim = Self {
            lock,
            target: store.folder(version),
            folder,
            name,
        };
        claim.sign(&path)?;
        claim.sweep()?;
        Ok(claim)
    }

    /// Says who holds the lock, for those who wait.
    fn sign(&self, path: &Utf8Path) -> Result<(), StoreError> {
        let mut lock = &self.lock;
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(unwritable(path))
    }

    /// Removes the temporary folders of this version: their owners are dead, for the lock is ours.
    fn sweep(&self) -> Result<(), StoreError> {
        for entry in self
            .folder
            .read_dir_utf8()
            .map_err(unwritable(&self.folder))?
        {
            let entry = entry.map_err(unwritable(&self.folder))?;
            if entry.file_name().starts_with(&self.prefix()) {
                fs::remove_dir_all(entry.path()).map_err(unwritable(entry.path()))?;
            }
        }
        Ok(())
    }

    fn prefix(&self) -> String {
        format!("{}.tmp-", self.name)
    }

    /// A new temporary folder, gone with the value.
    pub(super) fn workspace(&self) -> Result<Workspace, StoreError> {
        let folder = tempfile::Builder::new()
            .prefix(&self.prefix())
            .tempdir_in(&self.folder)
            .map_err(unwritable(&self.folder))?;
        let path = self.folder.join(
            folder
                .path()
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default(),
        );
        let programs = path.join("programs");
        fs::create_dir(&programs).map_err(unwritable(&programs))?;
        Ok(Workspace {
            path,
            programs,
            _folder: folder,
        })
    }

    /// Where a download is collected; what a cut one left there is taken up.
    pub(super) fn partial(&self) -> Utf8PathBuf {
        self.folder.join(format!("{}.tar.gz.partial", self.name))
    }

    /// Where the output of a build is kept.
    pub(super) fn log(&self) -> Utf8PathBuf {
        self.folder.join(format!("{}.build.log", self.name))
    }

    /// Moves the three programs from the workspace to where they count.
    pub(super) fn install(&self, workspace: &Workspace) -> Result<(), StoreError> {
        let from = &workspace.programs;
        for program in Program::ALL {
            let path = from.join(program.name());
            executable(&path)
                .and_then(|()| sync(&path))
                .map_err(unwritable(&path))?;
        }
        executable(from)
            .and_then(|()| sync(from))
            .map_err(unwritable(from))?;
        match fs::rename(from, &self.target) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                self.mend(from)?;
            }
            Err(source) => return Err(unwritable(&self.target)(source)),
        }
        let store = self.target.parent().unwrap_or(&self.target);
        sync(store).map_err(unwritable(store))
    }

    /// Fills a folder that lacked something, and leaves what else is in it. kube-apiserver goes out
    /// of it first and comes in last, so that at no moment it holds three programs of two makings.
    fn mend(&self, from: &Utf8Path) -> Result<(), StoreError> {
        // `setup-envtest` leaves its folders read-only.
        executable(&self.target).map_err(unwritable(&self.target))?;
        let old = self.target.join(Program::KubeApiserver.name());
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable(&old)(error));
            }
            _ => {}
        }
        for program in Program::ALL {
            let path = self.target.join(program.name());
            fs::rename(from.join(program.name()), &path).map_err(unwritable(&path))?;
        }
        sync(&self.target).map_err(unwritable(&self.target))
    }
}

/// A temporary folder inside the store.
#[derive(Debug)]
pub(super) struct Workspace {
    /// The folder.
    pub(super) path: Utf8PathBuf,
    /// A folder in it, for the three programs and nothing else.
    pub(super) programs: Utf8PathBuf,
    /// Removes it when dropped.
    _folder: tempfile::TempDir,
}

fn executable(path: &Utf8Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn sync(path: &Utf8Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn try_lock(file: &File, path: &Utf8Path) -> Result<bool, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(unwritable(path)(error)),
    }
}

async fn wait(lock: File, path: &Utf8Path, patience: Duration) -> Result<File, StoreError> {
    let begun = Instant::now();
    while !try_lock(&lock, path)? {
        if begun.elapsed() > patience {
            return Err(StoreError::Locked {
                path: path.to_owned(),
                holder: holder(path),
                waited: patience,
            });
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(lock)
}

/// `pid 123`, as the holder wrote it.
fn holder(path: &Utf8Path) -> String {
    match fs::read_to_string(path) {
        Ok(pid) if !pid.is_empty() => format!("pid {pid}"),
        _ => "pid unknown".to_owned(),
    }
}
