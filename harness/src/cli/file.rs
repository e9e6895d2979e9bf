//! Files that a command writes: the whole of one, or nothing.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Context as _;
use camino::Utf8Path;

/// Whether there is a folder for the file: found out before the work that makes its contents.
pub(super) fn check(path: &Utf8Path) -> anyhow::Result<()> {
    let folder = folder(path);
    anyhow::ensure!(
        folder.is_dir(),
        "`{path}` could not be written: there is no folder `{folder}`"
    );
    Ok(())
}

fn folder(path: &Utf8Path) -> &Utf8Path {
    match path.parent() {
        Some(folder) if folder != "" => folder,
        _ => Utf8Path::new("."),
    }
}

/// Writes the file, readable by all, under another name first: who looks sees the old contents
/// or the new. A device or a pipe, `/dev/null` for one, is written to and stays what it is.
pub(super) fn place(path: &Utf8Path, contents: &[u8]) -> anyhow::Result<()> {
    write(path, contents, 0o644).with_context(|| format!("`{path}` could not be written"))
}

/// The same for one with a key in it, readable by its owner alone.
pub(super) fn place_secret(path: &Utf8Path, contents: &[u8]) -> anyhow::Result<()> {
    write(path, contents, 0o600).with_context(|| format!("`{path}` could not be written"))
}

fn write(path: &Utf8Path, contents: &[u8], mode: u32) -> io::Result<()> {
    // A link stays a link, to a file with new contents.
    let path = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    if (path.metadata()).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return std::fs::write(path, contents);
    }
    let mut draft = tempfile::Builder::new()
        .prefix(".tokenlab-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder(&path))?;
    draft.write_all(contents)?;
    draft.persist(path)?;
    Ok(())
}
