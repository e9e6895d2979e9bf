//! Run folders without an owner.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::unistd::Uid;

use super::processes::Processes;
use super::{Kind, Stray, StrayError, Verdict};
use crate::diagnostics;
use crate::owner::{Life, Owner};
use crate::run_folder::{KEPT, OWNER};

/// A folder that names no owner and is younger than this may be about to.
const YOUNG: Duration = Duration::from_secs(10 * 60);

/// The run folders of this user in the folder for temporary files.
fn all(temporary: &Utf8Path) -> Vec<Utf8PathBuf> {
    let ours = Uid::effective().as_raw();
    let entries = temporary.read_dir_utf8().into_iter().flatten().flatten();
    entries
        .filter(|entry| is_name(entry.file_name()))
        // Not what a link leads to; and what is another user's is theirs to tidy.
        .filter(|entry| {
            let data = entry.path().symlink_metadata();
            data.is_ok_and(|data| data.is_dir() && data.uid() == ours)
        })
        .map(camino::Utf8DirEntry::into_path)
        .collect()
}

/// The owners that live and name themselves in a run folder there.
pub(super) fn living_owners(temporary: &Utf8Path) -> Vec<u32> {
    let owners = all(temporary)
        .into_iter()
        .filter_map(|folder| owner(&folder));
    owners.filter(Owner::lives).map(|owner| owner.pid).collect()
}

/// The run folders in the folder for temporary files that nobody owns, or may own.
pub(super) fn strays(temporary: &Utf8Path, processes: &Processes) -> Vec<Stray> {
    let (folders, owners) = (all(temporary), living_owners(temporary));
    let verdicts = folders.iter().filter_map(|folder| {
        let (verdict, why) = verdict(folder, processes, &owners)?;
        Some(Stray {
            kind: Kind::RunFolder,
            name: folder.to_string(),
            verdict,
            why,
        })
    });
    verdicts.collect()
}

/// What is to become of a run folder; `None` when its owner lives. `owners` are those that live and
/// name themselves.
fn verdict(folder: &Utf8Path, processes: &Processes, owners: &[u32]) -> Option<(Verdict, String)> {
    let kept = is_kept(folder);
    let gone = match owner(folder).map(|owner| (owner.life(), owner.pid)) {
        Some((Life::Lives | Life::Elsewhere, _)) => return None,
        Some((Life::Ended, pid)) => format!("its owner, pid {pid}, has ended"),
        Some((Life::BeforeBoot, _)) => "its owner ended before the last boot".to_owned(),
        None => {
            if let Some(doubt) = doubt(folder, kept, processes, owners) {
                return Some((Verdict::Unclear, format!("it names no owner, and {doubt}")));
            }
            "it names no owner, and nobody works in it".to_owned()
        }
    };
    Some(if kept {
        (Verdict::Kept, "it was kept on purpose".to_owned())
    } else {
        (Verdict::Lost, gone)
    })
}

/// Why somebody may own a folder that names nobody.
fn doubt(folder: &Utf8Path, kept: bool, processes: &Processes, owners: &[u32]) -> Option<String> {
    if let Some(pid) = processes.owned_in(folder) {
        return Some(format!("process {pid} works in it"));
    }
    if kept {
        // What is left of one names no owner any more.
        return None;
    }
    if age(folder).is_none_or(|age| age < YOUNG) {
        return Some("it is less than ten minutes old".to_owned());
    }
    let guardian = processes.guardian_of_none_of(owners, folder.parent())?;
    Some(format!("the guardian {guardian} may be of its owner"))
}

/// Who owns a run folder, as far as it says so.
pub(super) fn owner(folder: &Utf8Path) -> Option<Owner> {
    let text = std::fs::read_to_string(folder.join(OWNER)).ok()?;
    text.parse().ok()
}

/// Whether it was kept: for somebody who asked for it, or as what a failure left.
pub(super) fn is_kept(folder: &Utf8Path) -> bool {
    folder.join(KEPT).exists() || folder.join(diagnostics::NAME).exists()
}

fn age(folder: &Utf8Path) -> Option<Duration> {
    folder.metadata().ok()?.modified().ok()?.elapsed().ok()
}

/// The run folder that a path lies in, or is.
pub(super) fn run_folder_of(path: &Utf8Path) -> Option<&Utf8Path> {
    // As `/proc` shows one that has been deleted.
    let path = Utf8Path::new(path.as_str().trim_end_matches(" (deleted)"));
    path.ancestors()
        .find(|path| path.file_name().is_some_and(is_name))
}

pub(super) fn is_name(name: &str) -> bool {
    let random = name.strip_prefix("tokenlab-");
    random.is_some_and(|random| {
        random.len() == 12
            && random
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// Deletes it.
pub(super) async fn remove(folder: &Utf8Path) -> Result<(), StrayError> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StrayError {
            what: format!("run folder {folder}"),
            why: error.to_string(),
        }),
        _ => Ok(()),
    }
}
