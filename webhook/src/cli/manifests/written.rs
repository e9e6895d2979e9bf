//! The file for kube-apiserver.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tokenlab_webhook::pki::VALIDITY;

use crate::cli::certs::{draft, place};
use crate::cli::failure::Failure;
use crate::cli::note;

/// The file of `--webhook-config`, which gets its name once all else is done: who closes the pipe
/// keeps the one that fits what runs.
pub(super) enum Written {
    /// For its owner alone.
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
        let path = match self {
            Self::File { path, draft, force } => {
                place(draft, &path, force)?;
                path
            }
            Self::Stream { path, text } => match fs::write(&path, text) {
                Ok(()) => path,
                Err(source) => return Err(Failure::Write { path, source }),
            },
        };
        let (path, days) = (path.display(), VALIDITY.whole_days());
        note(&format!(
            "the certificates end after {days} days, and nobody renews them"
        ));
        note(&format!(
            "start each kube-apiserver with `{path}`, again if it runs with an older one: it reads \
             the file once, and the webhook lets no other client in"
        ));
        Ok(())
    }
}
