//! What a folder of the kit was filled with, so that what a disk or a hand spoilt since is found.

use std::fmt::Write as _;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::Sha256;

use crate::assets::store::{StoreError, unwritable};
use crate::digest::of_file;

/// Lies beside the programs, as `sha256sum` writes it. One that an older tokenlab filled has none.
const FILE: &str = "SHA256SUMS";

/// Notes what is in a folder that is about to be installed.
pub(super) fn note(folder: &Utf8Path, programs: &[&str]) -> Result<(), StoreError> {
    let mut text = String::new();
    for program in programs {
        let path = folder.join(program);
        let sum = of_file::<Sha256>(&path).map_err(unwritable(&path))?;
        writeln!(text, "{sum}  {program}").expect("a string must take text");
    }
    let path = folder.join(FILE);
    std::fs::write(&path, text).map_err(unwritable(&path))
}

/// Moves the note along with programs that went one by one into a folder that lacked some.
pub(super) fn settle(from: &Utf8Path, folder: &Utf8Path) -> Result<(), StoreError> {
    let path = folder.join(FILE);
    match std::fs::rename(from.join(FILE), &path) {
        // The whole folder was moved, the note with it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.map_err(unwritable(&path)),
    }
}

/// The file's folder, when it was filled with another file than this one of this sum.
pub(crate) fn spoilt(path: &Utf8Path, sum: &str) -> Option<Utf8PathBuf> {
    let folder = path.parent()?;
    let noted = std::fs::read_to_string(folder.join(FILE)).ok()?;
    let name = path.file_name()?;
    let mut lines = noted.lines().filter_map(|line| line.split_once("  "));
    let (was, _) = lines.find(|(_, noted)| *noted == name)?;
    (was != sum).then(|| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spoilt_is_found() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let path = folder.join("kubelet");
        std::fs::write(&path, "kubelet").expect("must be written");
        let now = || of_file::<Sha256>(&path).expect("must be read");
        assert_eq!(spoilt(&path, &now()), None, "nothing is noted");
        note(folder, &["kubelet"]).expect("must be written");
        assert_eq!(spoilt(&path, &now()), None);
        // A disk that lost its end.
        std::fs::write(&path, "kubel").expect("must be written");
        assert_eq!(spoilt(&path, &now()).as_deref(), Some(folder));
    }
}
