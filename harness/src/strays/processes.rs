//! etcd and kube-apiserver without an owner.

use std::convert::Infallible;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, Uid};

use super::folders::{owner, run_folder_of};
use super::{Kind, Stray, StrayError, Verdict};
use crate::guardian;
use crate::owner::look;
use crate::wait::{Poll, Probe, until};

/// What a control plane runs.
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

    /// Who works in a run folder: by its working folder, which is that of all that a lab starts.
    pub(super) fn working_in(&self, run_folder: &Utf8Path) -> Vec<u32> {
        let of = self.0.iter().filter(|process| {
            let folder = process.folder.as_deref();
            folder.is_some_and(|folder| folder.starts_with(run_folder))
        });
        of.map(|process| process.pid).collect()
    }

    /// Somebody works in this run folder and has an owner, as far as one can tell without its name.
    pub(super) fn owned_in(&self, run_folder: &Utf8Path) -> Option<u32> {
        let mut working = self.working_in(run_folder).into_iter();
        working.find(|pid| self.has_an_owner(*pid))
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
        let found = others.find(|process| {
            process.guardian.as_ref().is_some_and(|guardian| {
                let theirs = guardian.temporary.as_deref();
                temporary.is_none() || theirs.is_none() || theirs == temporary
            })
        });
        found.map(|guardian| guardian.pid)
    }

    /// Those that nobody owns, or may own.
    pub(super) fn strays(&self) -> Vec<Stray> {
        let ours = Uid::effective().as_raw();
        let programs = self
            .0
            .iter()
            .filter(|process| process.uid == ours && PROGRAMS.contains(&process.name.as_str()));
        programs.filter_map(|process| self.stray(process)).collect()
    }

    fn stray(&self, process: &Process) -> Option<Stray> {
        let run_folder = run_folder_of(process.folder.as_deref()?)?;
        let why = match owner(run_folder) {
            Some(owner) if owner.lives() => return None,
            Some(owner) => format!("{}, its owner, pid {}, has ended", process.name, owner.pid),
            None if self.has_an_owner(process.pid) => return None,
            None => format!("{}, its run folder has no owner", process.name),
        };
        Some(Stray {
            kind: Kind::Process,
            name: process.pid.to_string(),
            verdict: Verdict::Lost,
            why,
        })
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

/// Kills a process, and waits until it is gone.
pub(super) async fn kill(pid: &str) -> Result<(), StrayError> {
    let failed = |why: String| StrayError {
        what: format!("process {pid}"),
        why,
    };
    let number: u32 = pid
        .parse()
        .map_err(|_| failed("it is no number".to_owned()))?;
    let raw = i32::try_from(number).map_err(|_| failed("it is no number".to_owned()))?;
    match nix::sys::signal::kill(Pid::from_raw(raw), Signal::SIGKILL) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    let gone = async || match look(number) {
        Some(seen) if seen.state != "Z" => Probe::<_, Infallible>::NotYet("it runs".into()),
        _ => Probe::Ready(()),
    };
    let gone = until("the process is gone", SOON, gone).await;
    gone.map_err(|error| failed(error.to_string()))
}
