//! The processes that a lab has started: by this list they are found when its owner and its guardian
//! are gone. Where they work tells nothing: somebody else's program works where its author is, and a
//! person may look around in a run folder.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::Utf8Path;

use super::run_folder_of;
use crate::owner::Owner;

/// The file with a line for each, written as an [`Owner`] is.
const CHILDREN: &str = "children";

/// Notes a child, which leads its process group, in the run folder that its log lies in, if it lies
/// in one.
pub(crate) fn note(log: &Utf8Path, pid: u32) -> io::Result<()> {
    let Some(folder) = run_folder_of(log) else {
        return Ok(());
    };
    let mut file = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(folder.join(CHILDREN))?;
    // In one piece: others may be started side by side.
    file.write_all(format!("{}\n", Owner::of(pid)).as_bytes())
}

/// Those that were noted in a run folder, ended or not; `None` in one of a version that noted none.
pub(crate) fn noted(folder: &Utf8Path) -> Option<Vec<Owner>> {
    let text = std::fs::read_to_string(folder.join(CHILDREN)).ok()?;
    Some(text.lines().filter_map(|line| line.parse().ok()).collect())
}
