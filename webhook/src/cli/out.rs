//! Where a command writes what is secret.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::certs::{draft, place};
use super::failure::Failure;

/// A file for its owner alone, which a shell's `>` does not make.
#[derive(Debug, clap::Args)]
pub(crate) struct Out {
    /// Where to write it, for you alone (mode 0600) [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace the file of `--out`, if it is there
    #[arg(long, requires = "out")]
    force: bool,
}

impl Out {
    /// Writes the whole text, or nothing of it to a file. `failed` is for stdout.
    pub(super) fn write(
        &self,
        text: &str,
        failed: impl FnOnce(io::Error) -> Failure,
    ) -> Result<(), Failure> {
        let Some(path) = &self.out else {
            let mut stdout = io::stdout();
            let written = stdout.write_all(text.as_bytes());
            return written.and_then(|()| stdout.flush()).map_err(failed);
        };
        let failed = |source| Failure::Write {
            path: path.clone(),
            source,
        };
        // A device or a pipe stays what it is.
        if (path.metadata()).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return fs::write(path, text).map_err(failed);
        }
        if !self.force && path.symlink_metadata().is_ok() {
            return Err(Failure::Exists { path: path.clone() });
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let draft = draft(folder.unwrap_or(Path::new(".")), text, 0o600).map_err(failed)?;
        place(draft, path, self.force)
    }
}
