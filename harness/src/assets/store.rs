//! The store: one folder for each version and platform, as `setup-envtest` lays it out.
//!
//! What is being made for it lies in its folder `.tokenlab`, on the same file system, which
//! `setup-envtest` does not look at. A version's folder counts only when all three programs are in it.

use std::fs;
use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::claim::Goods;
use super::place::{Place, State};
use super::program::{self, Fault, Program};
use super::{Assets, Platform, Source, Wanted, explicit};

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is there, but cannot be listed.
    #[error("`{path}` cannot be listed")]
    Unreadable {
        /// The store.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something in it cannot be made, moved or removed.
    #[error("`{path}` cannot be written")]
    Unwritable {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process keeps a version's lock.
    #[error("`{path}` is still held by another process ({holder}) after {waited:?}")]
    Locked {
        /// The lock.
        path: Utf8PathBuf,
        /// `pid 123`.
        holder: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// Makes an error of what went wrong with a path.
pub(super) fn unwritable(path: &Utf8Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Unwritable { path, source }
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let source = match self {
            Self::Unreadable { source, .. } | Self::Unwritable { source, .. } => source,
            Self::Locked { holder, .. } => {
                return Some(format!(
                    "look what that process ({holder}) does, and end it"
                ));
            }
        };
        Some(match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space, or set XDG_DATA_HOME to a folder on another file system"
                    .to_owned()
            }
            _ => "set XDG_DATA_HOME to a folder that you may read and write".to_owned(),
        })
    }
}

/// A store, for one platform.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store<'a> {
    root: &'a Utf8Path,
    platform: &'a Platform,
}

/// What a store holds.
#[derive(Debug, Default)]
struct Holdings {
    /// Whole folders.
    whole: Vec<Version>,
    /// Folders that lack something.
    partial: Vec<(String, Vec<(Program, Fault)>)>,
}

impl<'a> Store<'a> {
    pub(super) const fn new(root: &'a Utf8Path, platform: &'a Platform) -> Self {
        Self { root, platform }
    }

    /// The name of a version's folder, and of what belongs to it: `1.37.2-linux-amd64`.
    pub(super) fn name(self, version: &Version) -> String {
        format!("{version}-{}", self.platform)
    }

    /// The folder of a version.
    pub(super) fn folder(self, version: &Version) -> Utf8PathBuf {
        self.root.join(self.name(version))
    }

    /// The folder for what is under way, made when it is not there.
    pub(super) fn workshop(self) -> Result<Utf8PathBuf, StoreError> {
        let folder = self.root.join(".tokenlab");
        fs::create_dir_all(&folder).map_err(unwritable(&folder))?;
        Ok(folder)
    }

    /// A version's folder, as something to fill.
    pub(super) fn goods(self, version: &Version) -> Goods {
        Goods {
            name: self.name(version),
            title: format!("Kubernetes {version}"),
            folder: self.folder(version),
            programs: Program::ALL.map(Program::name).to_vec(),
        }
    }

    /// The programs of a version, whether they are there or not.
    pub(super) fn assets(self, version: &Version) -> Assets {
        let folder = self.folder(version);
        Assets {
            version: version.clone(),
            source: Source::Store,
            etcd: folder.join(Program::Etcd.name()),
            kube_apiserver: folder.join(Program::KubeApiserver.name()),
            kubectl: folder.join(Program::Kubectl.name()),
        }
    }

    /// Looks for the newest version that is asked for and whole.
    pub(super) fn find(self, wanted: &Wanted) -> Result<(Option<Assets>, Place), StoreError> {
        let Holdings { whole, partial } = self.holdings()?;
        let found = wanted.newest(&whole).map(|version| self.assets(version));
        let mut place = Place::new(
            Source::Store,
            self.root.as_str(),
            if found.is_some() {
                State::Usable
            } else {
                State::Lacks
            },
        );
        let partial: Vec<_> = partial
            .iter()
            .map(|(name, faults)| format!("`{name}` is not whole ({})", explicit::list(faults)))
            .collect();
        if found.is_none() || !partial.is_empty() {
            let held = match whole.as_slice() {
                [] => "has nothing".to_owned(),
                _ => format!(
                    "has {}",
                    place.clone().versions(whole.clone()).versions_text()
                ),
            };
            let platform = format!("{held} for {}", self.platform);
            place = place.reason([vec![platform], partial].concat().join("; "));
        }
        if found.is_none() {
            let hint = format!(
                "copy the three programs of another machine to its folder `<version>-{}`",
                self.platform
            );
            place = place.hint(hint);
        }
        Ok((found, place.versions(whole)))
    }

    fn holdings(self) -> Result<Holdings, StoreError> {
        let unreadable = |source| StoreError::Unreadable {
            path: self.root.to_owned(),
            source,
        };
        let mut holdings = Holdings::default();
        let entries = match self.root.read_dir_utf8() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(holdings),
            Err(error) => return Err(unreadable(error)),
        };
        let suffix = format!("-{}", self.platform);
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                // A name that is not UTF-8 is none of ours.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                Err(error) => return Err(unreadable(error)),
            };
            let name = entry.file_name();
            let Some(version) = name
                .strip_suffix(&suffix)
                .and_then(|text| Version::parse(text).ok())
            else {
                continue;
            };
            let faults = program::lacking(entry.path(), &Program::ALL);
            if faults.is_empty() {
                holdings.whole.push(version);
            } else {
                holdings.partial.push((name.to_owned(), faults));
            }
        }
        holdings.whole.sort();
        holdings.partial.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(holdings)
    }
}
