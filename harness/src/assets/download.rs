//! A download by an envtest index: fetched, verified, unpacked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use flate2::read::GzDecoder;
use semver::Version;
use sha2::Sha512;

use super::claim::Claim;
use super::index::{Archive, Index, IndexError};
use super::program::{self, Program, VersionError};
use super::store::{StoreError, unwritable};
use super::transfer::{Transfer, TransferError, shown};
use super::{Platform, Sources};
use crate::digest::of_file;
use crate::progress::{Progress, Unit};

/// The folder of the programs in an archive.
const FOLDER: &str = "controller-tools/envtest";

/// Why nothing was downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Something could not be fetched.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The index names no fitting archive.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The archive is not the one that the index means.
    #[error(
        "`{address}` has another SHA-512 than the index says\n  expected {expected}\n  got      {got}"
    )]
    Hash {
        /// The archive.
        address: String,
        /// What the index says.
        expected: String,
        /// What it is.
        got: String,
    },
    /// The archive cannot be read.
    #[error("`{address}` cannot be unpacked")]
    Unpack {
        /// The archive.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The archive lacks programs.
    #[error("`{address}` holds no {}", missing.iter().map(|program| format!("{FOLDER}/{program}")).collect::<Vec<_>>().join(", no "))]
    Lacks {
        /// The archive.
        address: String,
        /// The programs that it lacks.
        missing: Vec<Program>,
    },
    /// Its kube-apiserver does not run here.
    #[error("kube-apiserver of `{address}` is not usable")]
    Unusable {
        /// The archive.
        address: String,
        /// Why not.
        source: VersionError,
    },
    /// Its kube-apiserver is of another version than the index says.
    #[error("kube-apiserver of `{address}` says that it is {says}")]
    OtherVersion {
        /// The archive.
        address: String,
        /// What it says.
        says: Version,
    },
    /// The store cannot be filled.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DownloadError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Transfer(error) => error.hint(),
            Self::Index(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Hash { .. } => Some(
                "do not use that archive; set LAB_ENVTEST_INDEX to an index that you trust"
                    .to_owned(),
            ),
            Self::Unpack { .. }
            | Self::Lacks { .. }
            | Self::Unusable { .. }
            | Self::OtherVersion { .. } => {
                Some("set LAB_ENVTEST_INDEX to an index with whole archives".to_owned())
            }
        }
    }
}

/// Fetches the index.
pub(super) async fn index(sources: &Sources) -> Result<Index, DownloadError> {
    let transfer = Transfer::new(&sources.index, &sources.patience)?;
    let text = transfer.text(&sources.index).await?;
    Ok(Index::read(sources.index.clone(), &text)?)
}

/// Downloads an archive into the store.
pub(super) async fn download(
    sources: &Sources,
    archive: &Archive,
    claim: &Claim,
    progress: &Progress,
) -> Result<(), DownloadError> {
    let partial = claim.partial();
    fetch(sources, archive, &partial, progress).await?;

    let workspace = claim.workspace()?;
    let (from, to) = (partial.clone(), workspace.programs.clone());
    let address = shown(&archive.address);
    let unpacking = tokio::task::spawn_blocking(move || unpack(&from, &to, &address));
    let unpacking = async {
        unpacking.await.unwrap_or_else(|error| {
            Err(DownloadError::Unpack {
                address: shown(&archive.address),
                source: io::Error::other(error),
            })
        })
    };
    let result = progress
        .step(
            &format!("unpacking Kubernetes {}", archive.version),
            unpacking,
        )
        .await;
    // Whole as it is, it is of no use any more; and broken, neither.
    fs::remove_file(&partial).map_err(unwritable(&partial))?;
    result?;

    if sources.platform == Platform::this() {
        let new = workspace.programs.join(Program::KubeApiserver.name());
        let address = || shown(&archive.address);
        let says = program::version(&new, sources.patience.version)
            .await
            .map_err(|source| DownloadError::Unusable {
                address: address(),
                source,
            })?;
        if says != archive.version {
            return Err(DownloadError::OtherVersion {
                address: address(),
                says,
            });
        }
    }
    Ok(claim.install(&workspace)?)
}

/// Fetches the archive to `partial`, and verifies it. A resumed one that is wrong is fetched once more.
async fn fetch(
    sources: &Sources,
    archive: &Archive,
    partial: &Utf8Path,
    progress: &Progress,
) -> Result<(), DownloadError> {
    let transfer = Transfer::new(&archive.address, &sources.patience)?;
    let remove = || fs::remove_file(partial).map_err(unwritable(partial));
    let title = format!("downloading Kubernetes {}", archive.version);
    let mut again = false;
    loop {
        let bar = progress.bar(&title, 0, Unit::Bytes);
        let resumed = transfer.file(&archive.address, partial, &bar).await?;
        bar.at("verifying");
        let file = partial.to_owned();
        let got = tokio::task::spawn_blocking(move || of_file::<Sha512>(&file))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(unwritable(partial))?;
        if got == archive.hash {
            bar.finish();
            return Ok(());
        }
        remove()?;
        if !resumed || std::mem::replace(&mut again, true) {
            let Archive { address, hash, .. } = archive.clone();
            let address = shown(&address);
            return Err(DownloadError::Hash {
                address,
                expected: hash,
                got,
            });
        }
        progress.note("what was there of it does not fit: fetching it from the beginning");
    }
}

/// Takes the three programs out of the archive, and nothing else: their paths are ours, so that no
/// name in an archive leads anywhere, and only plain files count, so that no link does.
fn unpack(archive: &Utf8Path, to: &Utf8Path, address: &str) -> Result<(), DownloadError> {
    let unreadable = |source| DownloadError::Unpack {
        address: address.to_owned(),
        source,
    };
    let file = File::open(archive).map_err(unwritable(archive))?;
    let mut missing = Program::ALL.to_vec();
    let mut entries = tar::Archive::new(GzDecoder::new(file));
    for entry in entries.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?;
        let path = path.strip_prefix("./").unwrap_or(&path);
        let is = |program: &Program| path == Utf8Path::new(FOLDER).join(program.name());
        let Some(at) = missing.iter().position(is) else {
            continue;
        };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path: Utf8PathBuf = to.join(missing.remove(at).name());
        // Executable whatever the archive says, since it is run before it is moved.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o755);
        let mut file = options.open(&path).map_err(unwritable(&path))?;
        copy(&mut entry, &mut file).map_err(|error| match error {
            CopyError::Read(source) => unreadable(source),
            CopyError::Write(source) => unwritable(&path)(source).into(),
        })?;
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(DownloadError::Lacks {
            address: address.to_owned(),
            missing,
        })
    }
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Like [`io::copy`], but tells a broken archive from a full disk.
fn copy(from: &mut impl Read, to: &mut impl io::Write) -> Result<(), CopyError> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer).map_err(CopyError::Read)? {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read]).map_err(CopyError::Write)?,
        }
    }
}
