//! Processes without an owner.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, Uid, getpgid};

use super::folders::owner;
use super::{Kind, Stray, StrayError, Verdict};
use crate::guardian;
use crate::owner::{Life, Owner, look};
use crate::run_folder::{children, run_folder_of};
use crate::wait::{Poll, Probe, until};

/// What a control plane runs: by its name it is known where no list of children is.
const PROGRAMS: [&str; 2] = ["etcd", "kube-apiserver"];

/// A killed process is gone in a moment; a busy machine takes longer.
const SOON: Poll = Poll {
    every: Duration::from_millis(10),
    within: Duration::from_secs(10),
};

/// The processes of this machine, as far as `/proc` shows them.
#[derive(Debug)]
pub(super) struct Processes(Vec<Process>);

#[derive(Debug)]
struct Process {
    pid: u32,
    parent: u32,
    uid: u32,
    name: String,
    folder: Option<Utf8PathBuf>,
    guardian: Option<Guards>,
}

/// What is known of a guardian.
#[derive(Debug)]
struct Guards {
    /// Its owner's folder for temporary files; `None` where that is not told.
    temporary: Option<Utf8PathBuf>,
}

impl Processes {
    /// Looks at all of them.
    pub(super) fn look() -> Self {
        let entries = Utf8Path::new("/proc").read_dir_utf8();
        let pids = entries.into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().parse().ok());
        Self(pids.filter_map(Process::look).collect())
    }

    /// Who works in a run folder: somebody who looks around in it, too.
    fn working_in(&self, run_folder: &Utf8Path) -> impl Iterator<Item = &Process> {
        self.0.iter().filter(move |process| {
            let folder = process.folder.as_deref();
            folder.is_some_and(|folder| folder.starts_with(run_folder))
        })
    }

    /// Somebody works in this run folder and has an owner, as far as one can tell without its name.
    pub(super) fn owned_in(&self, run_folder: &Utf8Path) -> Option<u32> {
        let mut working = self.working_in(run_folder).map(|process| process.pid);
        working.find(|pid| self.has_an_owner(*pid))
    }

    /// What a lab with this run folder has started, and runs: the children that are noted there, or,
    /// where none are, what works there and is a program of a control plane.
    pub(super) fn started_in(&self, run_folder: &Utf8Path) -> Vec<Owner> {
        match children::noted(run_folder) {
            Some(mut children) => {
                children.retain(|child| child.life() == Life::Lives);
                children
            }
            None => (self.working_in(run_folder))
                .filter(|process| process.is_ours_and_a_program())
                .map(|process| Owner::of(process.pid))
                .collect(),
        }
    }

    /// An owner has a guardian, which is its child as the other processes are.
    fn has_an_owner(&self, pid: u32) -> bool {
        let parent = self.0.iter().find(|it| it.pid == pid).map(|it| it.parent);
        let mut guardians = self.0.iter().filter(|process| process.guardian.is_some());
        guardians.any(|guardian| Some(guardian.parent) == parent)
    }

    /// A guardian whose owner is not one of these: of an owner that is not known by name, or of one
    /// that is gone, in which case it is about to take away what is left. For what lies in a folder
    /// for temporary files, one that has the same.
    pub(super) fn guardian_of_none_of(
        &self,
        owners: &[u32],
        temporary: Option<&Utf8Path>,
    ) -> Option<u32> {
        let mut others = (self.0.iter()).filter(|process| !owners.contains(&process.parent));
        let ours = Uid::effective().as_raw();
        let found = others.find(|process| {
            // What is another user's is none of ours, and so are its guardians.
            process.uid == ours
                && process.guardian.as_ref().is_some_and(|guardian| {
                    let theirs = guardian.temporary.as_deref();
                    temporary.is_none() || theirs.is_none() || theirs == temporary
                })
        });
        found.map(|guardian| guardian.pid)
    }

    /// Those that nobody owns: of a lab with one of these run folders, or with any that a program of a
    /// control plane works in.
    pub(super) fn strays(&self, run_folders: &[Utf8PathBuf]) -> Vec<Stray> {
        let mut strays = BTreeMap::new();
        for folder in run_folders {
            let owner = owner(folder).filter(|owner| !owner.lives());
            for child in owner.iter().flat_map(|_| self.started_in(folder)) {
                strays.insert(child.pid, self.stray(child, owner.as_ref()));
            }
        }
        let programs = self.0.iter().filter(|it| it.is_ours_and_a_program());
        for process in programs {
            if let Some(stray) = self.lost(process) {
                strays.entry(process.pid).or_insert(stray);
            }
        }
        strays.into_values().collect()
    }

    /// A program, if it has no owner.
    fn lost(&self, program: &Process) -> Option<Stray> {
        let folder = program.folder.as_deref()?.as_str();
        // As `/proc` shows one that has been deleted.
        let folder = Utf8Path::new(folder.trim_end_matches(" (deleted)"));
        let owner = owner(run_folder_of(folder)?);
        let has_one = match &owner {
            Some(owner) => owner.lives(),
            None => self.has_an_owner(program.pid),
        };
        (!has_one).then(|| self.stray(Owner::of(program.pid), owner.as_ref()))
    }

    fn stray(&self, process: Owner, owner: Option<&Owner>) -> Stray {
        let found = self.0.iter().find(|it| it.pid == process.pid);
        let name = found.map_or("a program", |it| &it.name);
        let why = match owner {
            Some(owner) => format!("{name}, its owner, pid {}, has ended", owner.pid),
            None => format!("{name}, its run folder has no owner"),
        };
        Stray {
            kind: Kind::Process,
            name: process.pid.to_string(),
            verdict: Verdict::Lost,
            why,
            identity: Some(process),
        }
    }
}

impl Process {
    fn look(pid: u32) -> Option<Self> {
        let proc = Utf8PathBuf::from(format!("/proc/{pid}"));
        let seen = look(pid).filter(|seen| seen.state != "Z")?;
        let name = std::fs::read_to_string(proc.join("comm")).ok()?;
        let command = std::fs::read_to_string(proc.join("cmdline")).unwrap_or_default();
        Some(Self {
            pid,
            parent: seen.parent.parse().ok()?,
            uid: proc.metadata().ok()?.uid(),
            name: name.trim_end().to_owned(),
            // Of another user's it is not told.
            folder: proc.join("cwd").read_link_utf8().ok(),
            guardian: (command.split('\0').any(|word| word == guardian::NAME)).then(|| Guards {
                temporary: temporary_of(&proc),
            }),
        })
    }

    fn is_ours_and_a_program(&self) -> bool {
        self.uid == Uid::effective().as_raw() && PROGRAMS.contains(&self.name.as_str())
    }
}

/// The folder for temporary files that a process was given.
fn temporary_of(proc: &Utf8Path) -> Option<Utf8PathBuf> {
    let environment = std::fs::read_to_string(proc.join("environ")).ok()?;
    let mut variables = environment.split('\0');
    let named = variables.find_map(|variable| variable.strip_prefix("TMPDIR="));
    Some(
        named
            .filter(|path| !path.is_empty())
            .unwrap_or("/tmp")
            .into(),
    )
}

/// Kills a process, with the group that it leads, and waits until it is gone. One that has ended, and
/// whose number may be another's by now, is not touched.
pub(super) async fn kill(process: &Owner) -> Result<(), StrayError> {
    let failed = |why: String| StrayError {
        what: format!("process {}", process.pid),
        why,
    };
    let runs = || process.life() == Life::Lives;
    if !runs() {
        return Ok(());
    }
    let number = i32::try_from(process.pid).map_err(|error| failed(error.to_string()))?;
    let pid = Pid::from_raw(number);
    let group = getpgid(Some(pid)) == Ok(pid);
    let (us, above) = (Pid::this(), above_us());
    let ours = |it: &Pid| *it == pid || (group && getpgid(Some(*it)) == Ok(pid));
    if std::iter::once(&us).chain(&above).any(ours) {
        return Err(failed("this command was started by it".to_owned()));
    }
    let whom = Pid::from_raw(if group { -number } else { number });
    match nix::sys::signal::kill(whom, Signal::SIGKILL) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    let gone = async || {
        if runs() {
            Probe::<_, Infallible>::NotYet("it runs".into())
        } else {
            Probe::Ready(())
        }
    };
    let gone = until("the process is gone", SOON, gone).await;
    gone.map_err(|error| failed(error.to_string()))
}

/// Who has started this process, and who has started that, up to the first.
fn above_us() -> Vec<Pid> {
    let parent = |pid: &Pid| {
        let pid = u32::try_from(pid.as_raw()).ok()?;
        let parent: i32 = look(pid)?.parent.parse().ok()?;
        (parent > 0).then(|| Pid::from_raw(parent))
    };
    std::iter::successors(Some(Pid::parent()), parent).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn what_has_started_us_is_not_killed() {
        for pid in [Pid::this(), Pid::parent()] {
            let process = Owner::of(u32::try_from(pid.as_raw()).expect("must be a number"));
            let error = kill(&process).await.expect_err("must be refused");
            let text = error.to_string();
            assert!(text.ends_with("this command was started by it"), "{text}");
        }
    }

    #[tokio::test]
    async fn only_the_process_that_is_meant_is_killed() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("must start");
        let process = Owner::of(child.id());
        let text = process.to_string();
        let mut words: Vec<_> = text.split(':').collect();
        words[2] = "1";
        // Of the same number, begun before.
        let another: Owner = words.join(":").parse().expect("must be an owner");
        kill(&another).await.expect("it has ended");
        assert_eq!(child.try_wait().expect("must be asked"), None);
        kill(&process).await.expect("must be killed");
        child.wait().expect("must be reaped");
    }

    #[test]
    fn who_looks_around_in_a_run_folder_was_not_started_by_its_lab() {
        let temporary = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(temporary.path()).expect("must be UTF-8");
        let folder = folder.join("tokenlab-0123456789ab");
        std::fs::create_dir(&folder).expect("must be made");
        let cat = |folder: &Utf8Path| {
            let mut cat = Command::new("cat");
            cat.current_dir(folder).stdin(Stdio::piped());
            cat.spawn().expect("must start")
        };
        let (mut visitor, mut child) = (cat(&folder), cat(Utf8Path::new("/")));
        let started = || Processes::look().started_in(&folder);
        assert_eq!(started(), [], "a folder of before");
        children::note(&folder.join("logs/a.log"), child.id()).expect("must be noted");
        assert_eq!(started(), [Owner::of(child.id())]);
        for process in [&mut visitor, &mut child] {
            process.kill().expect("must be killed");
            process.wait().expect("must be reaped");
        }
        assert_eq!(started(), []);
    }
}
