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
        match &self.out {
            None => print(text.as_bytes()).map_err(failed),
            Some(path) => Written::draft(path.clone(), text, self.force)?.place(),
        }
    }
}

/// Writes to stdout, and hears whether it arrived.
pub(super) fn print(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text)?;
    stdout.flush()
}
