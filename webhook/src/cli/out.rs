//! Where a command writes what is secret.

use std::io::{self, Write as _};
use std::path::PathBuf;

use super::failure::Failure;
use super::written::Written;

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
        Written::draft(path.clone(), text, self.force)?.place()
    }
}
