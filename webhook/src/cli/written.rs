//! A file with a secret in it, for its owner alone.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::certs::{draft, place};
use super::failure::Failure;

/// What has all its text, and no name yet.
pub(super) enum Written {
    /// Of mode 0600.
    File {
        path: PathBuf,
        draft: NamedTempFile,
        force: bool,
    },
    /// A device or a pipe, which stays what it is.
    Stream { path: PathBuf, text: String },
}

impl Written {
    pub(super) fn draft(path: PathBuf, text: &str, force: bool) -> Result<Self, Failure> {
        if let Ok(found) = path.metadata() {
            if !found.is_file() && !found.is_dir() {
                let text = text.to_owned();
                return Ok(Self::Stream { path, text });
            }
            if !force {
                return Err(Failure::Exists { path });
            }
        }
        // A link stays a link, to a file with new contents.
        let path = path.canonicalize().unwrap_or(path);
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        match draft(folder.unwrap_or(Path::new(".")), text, 0o600) {
            Ok(draft) => Ok(Self::File { path, draft, force }),
            Err(source) => Err(Failure::Write { path, source }),
        }
    }

    pub(super) fn place(self) -> Result<(), Failure> {
        match self {
            Self::File { path, draft, force } => place(draft, &path, force),
            Self::Stream { path, text } => {
                let written = fs::write(&path, text);
                written.map_err(|source| Failure::Write { path, source })
            }
        }
    }
}
