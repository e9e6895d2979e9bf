//! Files that a command writes: the whole of one, or nothing.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Context as _;
use camino::Utf8Path;

/// Writes the file, readable by all, under another name first: who looks sees the old contents
/// or the new. A device or a pipe, `/dev/null` for one, is written to and stays what it is.
pub(super) fn place(path: &Utf8Path, contents: &[u8]) -> anyhow::Result<()> {
    write(path, contents).with_context(|| format!("`{path}` could not be written"))
}

fn write(path: &Utf8Path, contents: &[u8]) -> io::Result<()> {
    // A link stays a link, to a file with new contents.
    let path = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    if (path.metadata()).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return std::fs::write(path, contents);
    }
    let folder = match path.parent() {
        Some(folder) if folder != "" => folder,
        _ => Utf8Path::new("."),
    };
    let mut draft = tempfile::Builder::new()
        .prefix(".tokenlab-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    draft.write_all(contents)?;
    draft.persist(path)?;
    Ok(())
}
