//! Run folders without an owner.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::unistd::Uid;

use super::processes::Processes;
use super::{Kind, Stray, StrayError, Verdict, verdict};
use crate::diagnostics;
use crate::owner::Owner;
use crate::run_folder::{KEPT, OWNER, is_name};

/// A folder that names no owner and is younger than this may be about to.
const YOUNG: Duration = Duration::from_secs(10 * 60);

/// The run folders of this user in the folder for temporary files.
pub(super) fn all(temporary: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = temporary.read_dir_utf8().into_iter().flatten().flatten();
    entries
        .map(camino::Utf8DirEntry::into_path)
        .filter(|path| is_ours(path))
        .collect()
}

/// Whether this is a run folder of this user: not what a link leads to; and what is another user's is
/// theirs to tidy.
fn is_ours(path: &Utf8Path) -> bool {
    let ours = Uid::effective().as_raw();
    path.file_name().is_some_and(is_name)
        && (path.symlink_metadata()).is_ok_and(|data| data.is_dir() && data.uid() == ours)
}

/// Why this is not, or not any more, the run folder of this owner, if it is not.
pub(super) fn mistaken(folder: &Utf8Path, of: Option<&Owner>) -> Option<StrayError> {
    let why = if !is_ours(folder) {
        "it is no run folder of this user"
    } else if owner(folder).as_ref() != of {
        "its owner is another"
    } else {
        return None;
    };
    Some(failed(folder, why.to_owned()))
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
            identity: owner(folder),
        })
    });
    verdicts.collect()
}

/// What is to become of a run folder; `None` when its owner lives. `owners` are those that live and
/// name themselves.
fn verdict(folder: &Utf8Path, processes: &Processes, owners: &[u32]) -> Option<(Verdict, String)> {
    let kept = is_kept(folder);
    let found = match owner(folder) {
        Some(owner) => verdict::of_owner(owner.life(), owner.pid)?,
        None => match doubt(folder, kept, processes, owners) {
            Some(doubt) => (Verdict::Unclear, format!("it names no owner, and {doubt}")),
            None => (
                Verdict::Lost,
                "it names no owner, and nobody works in it".to_owned(),
            ),
        },
    };
    Some(match found {
        (Verdict::Lost, _) if kept => (
            Verdict::Kept,
            "it was kept, on purpose or for a failure".to_owned(),
        ),
        found => found,
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

/// Deletes it, if it is still the run folder of this owner.
pub(super) async fn remove(folder: &Utf8Path, of: Option<&Owner>) -> Result<(), StrayError> {
    if is_gone(folder) {
        return Ok(());
    }
    if let Some(mistaken) = mistaken(folder, of) {
        return Err(mistaken);
    }
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(folder, error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Whether nothing is at this path, not even a link that leads nowhere.
pub(super) fn is_gone(path: &Utf8Path) -> bool {
    (path.symlink_metadata()).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn failed(folder: &Utf8Path, why: String) -> StrayError {
    StrayError {
        what: format!("run folder {folder}"),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_run_folder_of_its_owner_is_deleted() {
        let temporary = tempfile::tempdir().expect("must be made");
        let path = |name: &str| {
            let path = temporary.path().join(name);
            Utf8PathBuf::from_path_buf(path).expect("must be UTF-8")
        };
        let owner = Owner::current();
        let make = |name: &str, text: &str| {
            std::fs::create_dir(path(name)).expect("must be made");
            std::fs::write(path(name).join(OWNER), text).expect("must be written");
            path(name)
        };
        let precious = make("precious", &owner.to_string());
        let theirs = make("tokenlab-0123456789ab", "1:2:3:4:5:6");
        let nobodys = make("tokenlab-0123456789ac", "");
        let link = path("tokenlab-0123456789ad");
        std::os::unix::fs::symlink(&precious, &link).expect("must be made");
        for other in [&precious, &theirs, &nobodys, &link] {
            let error = remove(other, Some(&owner)).await.expect_err("must stay");
            assert!(error.to_string().contains(other.as_str()), "{error}");
            assert!(other.exists());
        }
        let its = make("tokenlab-0123456789ae", &owner.to_string());
        remove(&its, Some(&owner)).await.expect("must be deleted");
        assert!(is_gone(&its));
        remove(&its, Some(&owner)).await.expect("it is gone");
    }
}
