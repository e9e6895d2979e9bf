//! Which labs there are: a folder for each, of each user.

mod claim;
mod end;
mod error;

use std::fmt;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use etcetera::BaseStrategy as _;
use nix::unistd::Uid;
use serde::Serialize;

use super::name::LabName;
use super::record::{Record, Remains};
use crate::owner::{Life, Owner};
use crate::run_folder::random_name;

pub(super) use claim::Claim;
pub use error::RegistryError;

/// The file in a lab's folder that its supervisor holds locked as long as it, or its guardian,
/// lives. Its content tells one such folder from another of the same name.
const LOCK: &str = "lock";
/// The file with the record.
const RECORD: &str = "lab.json";

/// The labs of this user: `$XDG_STATE_HOME/tokenlab/labs`, by default `~/.local/state/…`.
#[derive(Clone, Debug)]
pub struct Registry {
    folder: Utf8PathBuf,
}

/// A lab that is written down.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// What it is called.
    pub name: LabName,
    /// What is known of it; `None` when that cannot be read, as that of a later version.
    pub record: Option<Record>,
    /// How it stands.
    pub standing: Standing,
    /// What can be read in any case.
    remains: Remains,
}

/// How a lab stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is not ready yet.
    Starting,
    /// It can be used.
    Running,
    /// Its supervisor is gone, and the guardian takes away what is left.
    Ending,
    /// It was there before the machine was started anew.
    BeforeBoot,
    /// Whoever owned it is gone, and so is the guardian.
    Lost,
    /// It may run on another machine, with which this folder is shared.
    Elsewhere,
}

impl Standing {
    /// Whether somebody holds its name.
    pub fn is_held(self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Ending => true,
            Self::BeforeBoot | Self::Lost | Self::Elsewhere => false,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::BeforeBoot => "before-boot",
            Self::Lost => "lost",
            Self::Elsewhere => "elsewhere",
        })
    }
}

impl Registry {
    /// That of this user.
    pub fn from_env() -> Result<Self, RegistryError> {
        let strategy = etcetera::choose_base_strategy().map_err(|_| RegistryError::NoHome)?;
        let state = strategy.state_dir().ok_or(RegistryError::NoHome)?;
        let state = Utf8PathBuf::from_path_buf(state).map_err(|path| RegistryError::NotUtf8 {
            path: path.to_string_lossy().into_owned(),
        })?;
        Ok(Self::at(state.join("tokenlab/labs")))
    }

    /// One in this folder.
    pub(super) fn at(folder: Utf8PathBuf) -> Self {
        Self { folder }
    }

    /// All labs, by name.
    pub fn all(&self) -> Result<Vec<Found>, RegistryError> {
        self.check_owner()?;
        let entries = match self.folder.read_dir_utf8() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.unreadable(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| self.unreadable(source))?;
            // What begins with a dot is on its way in or out.
            names.extend(entry.file_name().parse::<LabName>());
        }
        names.sort();
        let mut all = Vec::new();
        for name in names {
            // It may go at any moment.
            all.extend(self.find(&name)?);
        }
        Ok(all)
    }

    /// The lab of this name, if there is one.
    pub fn find(&self, name: &LabName) -> Result<Option<Found>, RegistryError> {
        self.check_owner()?;
        let held = match self.open(name)? {
            Some(lock) => is_held(&lock).map_err(|source| self.unreadable(source))?,
            None if self.of(name).exists() => false,
            None => return Ok(None),
        };
        let text = self.text(name);
        let remains = Remains::read(&text);
        let standing = match (held, remains.owner.as_ref().map(Owner::life)) {
            (_, Some(Life::OtherMachine)) => Standing::Elsewhere,
            (true, Some(Life::Ended | Life::BeforeBoot)) => Standing::Ending,
            (true, _) if remains.ready => Standing::Running,
            (true, _) => Standing::Starting,
            (false, Some(Life::BeforeBoot)) => Standing::BeforeBoot,
            (false, _) => Standing::Lost,
        };
        Ok(Some(Found {
            name: name.clone(),
            record: serde_json::from_str(&text).ok(),
            standing,
            remains,
        }))
    }

    /// Fails when a lab of this name runs or starts.
    pub fn check_free(&self, name: &LabName) -> Result<(), RegistryError> {
        match self.find(name)? {
            Some(found) if matches!(found.standing, Standing::Starting | Standing::Running) => {
                Err(RegistryError::Taken(Box::new(found)))
            }
            _ => Ok(()),
        }
    }

    /// The lab that is meant: that of the name, or the only one that runs. Where none does, the
    /// only one of which something is left.
    pub fn select(&self, name: Option<&LabName>) -> Result<Found, RegistryError> {
        if let Some(name) = name {
            return match self.find(name)? {
                Some(found) => Ok(found),
                None => Err(RegistryError::Unknown {
                    name: name.clone(),
                    others: self.names()?,
                }),
            };
        }
        let (running, left): (Vec<_>, Vec<_>) =
            (self.all()?.into_iter()).partition(|lab| lab.standing.is_held());
        let mut meant = if running.is_empty() { left } else { running };
        match meant.len() {
            0 => Err(RegistryError::None),
            1 => Ok(meant.swap_remove(0)),
            _ => Err(RegistryError::Several {
                names: meant.into_iter().map(|lab| lab.name).collect(),
            }),
        }
    }

    fn names(&self) -> Result<Vec<LabName>, RegistryError> {
        Ok(self.all()?.into_iter().map(|lab| lab.name).collect())
    }

    /// The folder of a lab.
    fn of(&self, name: &LabName) -> Utf8PathBuf {
        self.folder.join(name.as_str())
    }

    /// The record, as it is written; nothing where it cannot be read.
    fn text(&self, name: &LabName) -> String {
        std::fs::read_to_string(self.of(name).join(RECORD)).unwrap_or_default()
    }

    /// The lock of a lab, if there is one.
    pub(super) fn open(&self, name: &LabName) -> Result<Option<File>, RegistryError> {
        match File::open(self.of(name).join(LOCK)) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.unreadable(source)),
        }
    }

    /// Makes the folder; another user's is refused.
    fn prepare(&self) -> Result<(), RegistryError> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder);
        made.map_err(|source| RegistryError::Unwritable {
            path: self.folder.clone(),
            source,
        })?;
        self.check_owner()
    }

    /// Labs are their user's: whoever may use one is its admin, and whoever may write here says what
    /// is deleted with one.
    fn check_owner(&self) -> Result<(), RegistryError> {
        match self.folder.metadata() {
            Ok(data) if data.uid() != Uid::effective().as_raw() => Err(RegistryError::Foreign {
                folder: self.folder.clone(),
                uid: data.uid(),
            }),
            Ok(data) if data.mode() & 0o022 != 0 => Err(RegistryError::Open {
                folder: self.folder.clone(),
            }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unreadable(error)),
            _ => Ok(()),
        }
    }

    fn unreadable(&self, source: io::Error) -> RegistryError {
        RegistryError::Unreadable {
            folder: self.folder.clone(),
            source,
        }
    }

    /// A name for something on its way in or out.
    fn passing(&self) -> Utf8PathBuf {
        self.folder.join(format!(".{}", random_name()))
    }
}

impl Found {
    /// Its run folder, once there is one.
    pub fn folder(&self) -> Option<&Utf8Path> {
        self.remains.folder.as_deref()
    }
}

/// Whether somebody holds the lock. Those who ask do not disturb each other.
pub(super) fn is_held(lock: &File) -> io::Result<bool> {
    match lock.try_lock_shared() {
        Ok(()) => lock.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether the open file is still the one at this path.
fn is_at(file: &File, path: &Utf8Path) -> bool {
    let identity = |data: std::fs::Metadata| (data.dev(), data.ino());
    let (open, there) = (file.metadata().map(identity), path.metadata().map(identity));
    matches!((open, there), (Ok(open), Ok(there)) if open == there)
}

#[cfg(test)]
mod tests;
