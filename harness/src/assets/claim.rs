//! The right to fill one folder of the store, and how it is filled.
//!
//! Everything that is under way lies in the store's folder `.tokenlab`: the lock of each version,
//! what a cut download left, the log of a build, and temporary folders. Only a folder with all
//! its programs is moved to where it counts, by a rename; so killing at any moment leaves nothing
//! that is taken for whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::store::{Store, StoreError, unwritable};
use crate::guardian::Guardian;
use crate::progress::Progress;

/// How often a lock that another holds is tried.
const EVERY: Duration = Duration::from_millis(100);

/// A folder of programs that is to be filled.
#[derive(Clone, Debug)]
pub(super) struct Goods {
    /// What all files of it are called: `1.37.2-linux-amd64`.
    pub(super) name: String,
    /// What messages call it: `Kubernetes 1.37.2`.
    pub(super) title: String,
    /// Where its programs go.
    pub(super) folder: Utf8PathBuf,
    /// The names of its programs. Where they are moved one by one, the last goes in at the end.
    pub(super) programs: Vec<&'static str>,
}

/// A folder's lock in the store. It ends with the value, and with the process.
#[derive(Debug)]
pub(super) struct Claim {
    /// Dropping it gives the lock back; its content names the holder.
    lock: File,
    /// The store's folder `.tokenlab`.
    folder: Utf8PathBuf,
    goods: Goods,
}

impl Claim {
    /// Takes the lock, waiting for whoever holds it.
    pub(super) async fn take(
        store: Store<'_>,
        goods: Goods,
        patience: Duration,
        progress: &Progress,
    ) -> Result<Self, StoreError> {
        let folder = store.workshop()?;
        let path = folder.join(format!("{}.lock", goods.name));
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
                "waiting for another process that is fetching {} ({holder})",
                goods.title
            );
            progress.step(&title, wait(lock, &path, patience)).await?
        };
        let claim = Self {
            lock,
            folder,
            goods,
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

    /// Removes its temporary folders: their owners are dead, for the lock is ours.
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
        format!("{}.tmp-", self.goods.name)
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
        let guardian = Guardian::get().map_err(unwritable(&path))?;
        guardian.folder(&path).map_err(unwritable(&path))?;
        let workspace = Workspace {
            programs: path.join("programs"),
            path,
            guardian,
            _folder: folder,
        };
        fs::create_dir(&workspace.programs).map_err(unwritable(&workspace.programs))?;
        Ok(workspace)
    }

    /// Where a download is collected; what a cut one left there is taken up.
    pub(super) fn partial(&self) -> Utf8PathBuf {
        self.folder
            .join(format!("{}.tar.gz.partial", self.goods.name))
    }

    /// Where the output of a build is kept.
    pub(super) fn log(&self) -> Utf8PathBuf {
        self.folder.join(format!("{}.build.log", self.goods.name))
    }

    /// Moves the programs from the workspace to where they count.
    pub(super) fn install(&self, workspace: &Workspace) -> Result<(), StoreError> {
        let from = &workspace.programs;
        for program in &self.goods.programs {
            let path = from.join(program);
            executable(&path)
                .and_then(|()| sync(&path))
                .map_err(unwritable(&path))?;
        }
        executable(from)
            .and_then(|()| sync(from))
            .map_err(unwritable(from))?;
        match fs::rename(from, &self.goods.folder) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                self.mend(from)?;
            }
            Err(source) => return Err(unwritable(&self.goods.folder)(source)),
        }
        let store = self.goods.folder.parent().unwrap_or(&self.goods.folder);
        sync(store).map_err(unwritable(store))
    }

    /// Fills a folder that lacked something, and leaves what else is in it. The last program goes out
    /// of it first and comes in last, so that at no moment it holds all programs, of two makings.
    fn mend(&self, from: &Utf8Path) -> Result<(), StoreError> {
        // `setup-envtest` leaves its folders read-only.
        executable(&self.goods.folder).map_err(unwritable(&self.goods.folder))?;
        if let Some(last) = self.goods.programs.last() {
            let old = self.goods.folder.join(last);
            match fs::remove_file(&old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritable(&old)(error));
                }
                _ => {}
            }
        }
        for program in &self.goods.programs {
            let path = self.goods.folder.join(program);
            fs::rename(from.join(program), &path).map_err(unwritable(&path))?;
        }
        sync(&self.goods.folder).map_err(unwritable(&self.goods.folder))
    }
}

/// A temporary folder inside the store.
#[derive(Debug)]
pub(super) struct Workspace {
    /// The folder.
    pub(super) path: Utf8PathBuf,
    /// A folder in it, for the programs and nothing else.
    pub(super) programs: Utf8PathBuf,
    guardian: &'static Guardian,
    /// Removes it when dropped.
    _folder: tempfile::TempDir,
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.path).is_ok() {
            let _ = self.guardian.keep(&self.path);
        }
    }
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
