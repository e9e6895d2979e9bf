//! The right to a lab's name.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::end::{LAST, not_gone};
use super::{Found, LOCK, RECORD, Registry, RegistryError, Standing, is_at};
use crate::backend::Backend;
use crate::guardian::Guardian;
use crate::named::name::LabName;
use crate::named::record::{Record, Remains};
use crate::owner::Life;
use crate::progress::Progress;
use crate::run_folder::{self, random_name};
use crate::strays;
use crate::wait::{Probe, WaitError, until};

/// How often a name is asked for that somebody else just takes or leaves.
const TRIES: usize = 5;

/// A folder that is younger than this may not have its lock yet.
const YOUNG: Duration = Duration::from_secs(10 * 60);

/// The right to a lab's name. Dropped, the name is free.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The lab's folder.
    path: Utf8PathBuf,
    /// Where the folder goes on its way out.
    passing: Utf8PathBuf,
    record: Record,
    /// Held by the guardian as well.
    _lock: File,
}

impl Registry {
    /// Takes a name for this process, which must not have asked for its guardian yet: the name is
    /// held until the guardian, too, is done. What is left of a lab of that name is ended.
    pub(in crate::named) async fn claim(
        &self,
        name: &LabName,
        backend: Backend,
        progress: &Progress,
    ) -> Result<Claim, RegistryError> {
        self.prepare()?;
        self.sweep();
        let draft = self.passing();
        let unwritable = |source| RegistryError::Unwritable {
            path: draft.clone(),
            source,
        };
        let content = random_name();
        let (lock, guardian) = prepare(&draft, &content).map_err(unwritable)?;
        let record = Record::new(name.clone(), backend);
        write(&draft, &record)?;
        let path = self.of(name);
        guardian.entry(&content, &path).map_err(unwritable)?;
        for _ in 0..TRIES {
            match take(&draft, &path) {
                Ok(true) => {
                    let _ = guardian.keep(&draft);
                    return Ok(Claim {
                        path,
                        passing: self.folder.join(format!(".{content}")),
                        record,
                        _lock: lock,
                    });
                }
                Ok(false) => {}
                Err(source) => return Err(unwritable(source)),
            }
            let Some(found) = self.find(name)? else {
                continue;
            };
            match found.standing {
                Standing::Starting | Standing::Running | Standing::Elsewhere => {
                    return refuse(&draft, found);
                }
                Standing::Ending => {
                    let title = format!("waiting for the end of the lab `{name}` before it");
                    progress.step(&title, self.gone(&found)).await?;
                }
                Standing::BeforeBoot | Standing::Lost => {
                    let title = format!("taking away what is left of the lab `{name}`");
                    progress.step(&title, self.tidy(&found)).await?;
                }
            }
        }
        match self.find(name)? {
            Some(found) => refuse(&draft, found),
            None => Err(RegistryError::Contested { name: name.clone() }),
        }
    }

    /// Deletes what was on its way in or out when its owner and guardian were killed.
    pub fn sweep(&self) {
        let entries = self.folder.read_dir_utf8().into_iter().flatten().flatten();
        let passing = entries.filter(|entry| entry.file_name().starts_with('.'));
        for path in passing.map(camino::Utf8DirEntry::into_path) {
            let age = path.metadata().and_then(|data| data.modified());
            let old = age.is_ok_and(|age| age.elapsed().is_ok_and(|age| age > YOUNG));
            // Who has one holds its lock.
            let lock = File::open(path.join(LOCK));
            let free = lock.map_or(true, |lock| lock.try_lock().is_ok());
            if old && free {
                // What fails stays for the next one.
                let _ = std::fs::remove_dir_all(&path);
            }
        }
    }

    /// Ends what is left of a lab whose owner is gone, and frees its name.
    pub(in crate::named) async fn tidy(&self, found: &Found) -> Result<(), RegistryError> {
        let name = &found.name;
        let elsewhere = || self.owned(name, "it may run on another machine".to_owned());
        if found.standing == Standing::Elsewhere {
            return Err(elsewhere());
        }
        let path = self.of(name);
        let file = path.join(LOCK);
        // Without its lock nobody could tell who tidies: it gets another.
        let opened = File::options().create(true).append(true).open(&file);
        let lock = match opened {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(RegistryError::Unwritable { path: file, source }),
        };
        if !self.alone(&lock, name).await? {
            return Ok(());
        }
        // As it is now: it may have changed until the lock was ours.
        let remains = Remains::read(&self.text(name));
        match remains.owner.as_ref().map(|owner| (owner.life(), owner)) {
            Some((Life::OtherMachine, _)) => return Err(elsewhere()),
            Some((Life::Lives, owner)) => {
                let why = format!("its supervisor, pid {}, runs, and has no lock", owner.pid);
                return Err(self.owned(name, why));
            }
            _ => {}
        }
        let left = |source, free| RegistryError::Left {
            name: name.clone(),
            source,
            free,
        };
        if let Some(cluster) = &remains.cluster {
            let removed = strays::remove_cluster(cluster).await;
            // Nothing else names the cluster.
            removed.map_err(|error| left(error, false))?;
        }
        let ended = match (&remains.folder, &remains.owner) {
            (Some(folder), Some(owner)) => strays::end_folder(folder, owner).await,
            _ => Ok(()),
        };
        match remove(&path, &self.passing()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(RegistryError::Unwritable { path, source })
            }
            _ => ended.map_err(|error| left(error, true)),
        }
    }

    /// Waits for the lock of a lab whose owner is gone. Whether it is ours: otherwise somebody else
    /// has ended what was left of it by now.
    async fn alone(&self, lock: &File, name: &LabName) -> Result<bool, RegistryError> {
        let path = self.of(name).join(LOCK);
        let ours = async || match lock.try_lock() {
            _ if !is_at(lock, &path) => Probe::Ready(false),
            Ok(()) => Probe::Ready(true),
            Err(TryLockError::WouldBlock) => Probe::NotYet("its lock is held".into()),
            Err(TryLockError::Error(error)) => Probe::Fatal(error),
        };
        match until("the lock is free", LAST, ours).await {
            Ok(alone) => Ok(alone),
            Err(WaitError::Fatal(error)) => Err(self.unreadable(error)),
            Err(WaitError::TimedOut { .. }) => Err(not_gone(name)),
        }
    }
}

impl Claim {
    /// What is written down.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Changes what is written down.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), RegistryError> {
        change(&mut self.record);
        write(&self.path, &self.record)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What fails here the guardian tries again.
        let _ = remove(&self.path, &self.passing);
    }
}

/// The folder with its lock, of which the guardian knows.
fn prepare(draft: &Utf8Path, content: &str) -> io::Result<(File, &'static Guardian)> {
    // The lock is taken before there is a guardian, which then holds it; so the draft's name is in
    // no list for a moment, in which there is nothing but an empty folder.
    DirBuilder::new().mode(0o700).create(draft)?;
    let mut lock = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft.join(LOCK))?;
    writeln!(lock, "{content}")?;
    lock.try_lock()?;
    let guardian = Guardian::holding(&lock)?;
    guardian.folder(draft)?;
    Ok((lock, guardian))
}

fn write(folder: &Utf8Path, record: &Record) -> Result<(), RegistryError> {
    let text = serde_json::to_string_pretty(record).expect("a record must be JSON");
    let written = run_folder::write(folder, RECORD, &text);
    written.map(drop).map_err(|error| match error {
        run_folder::RunFolderError::Create { path, source }
        | run_folder::RunFolderError::Write { path, source } => {
            RegistryError::Unwritable { path, source }
        }
    })
}

fn refuse<T>(draft: &Utf8Path, found: Found) -> Result<T, RegistryError> {
    // The guardian does it otherwise.
    let _ = std::fs::remove_dir_all(draft);
    Err(RegistryError::Taken(Box::new(found)))
}

/// Gives a draft its name, in one step; `false` when another folder has it.
pub(super) fn take(draft: &Utf8Path, path: &Utf8Path) -> io::Result<bool> {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty};
    match std::fs::rename(draft, path) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), AlreadyExists | DirectoryNotEmpty) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves the folder away, in one step, and deletes it: who takes its name then has another.
fn remove(path: &Utf8Path, passing: &Utf8Path) -> io::Result<()> {
    std::fs::rename(path, passing)?;
    std::fs::remove_dir_all(passing)
}
