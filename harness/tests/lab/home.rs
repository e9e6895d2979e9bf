//! A folder for temporary files that one owner has to itself: what the owner leaves behind lies
//! in it, or is a process that names it.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;
use tokenlab_harness::{Poll, Probe, until};
use tokio::process::Command;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::programs;

/// Two cores start two control planes in the time of one.
static OWNERS: Semaphore = Semaphore::const_new(2);

/// Waits until this many control planes may start.
pub(crate) async fn turn(planes: u32) -> SemaphorePermit<'static> {
    OWNERS.acquire_many(planes).await.expect("is never closed")
}

/// Long enough for a busy machine; nothing that works takes that long.
pub(crate) const SOON: Poll = Poll {
    every: Duration::from_millis(10),
    within: Duration::from_secs(60),
};

pub(crate) struct Home {
    root: TempDir,
    tmp: Utf8PathBuf,
    _turn: SemaphorePermit<'static>,
}

impl Drop for Home {
    /// A failed test leaves owners that stay: labs with names.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for found in self.processes() {
                if let Ok(pid) = i32::try_from(found.pid) {
                    let kill = nix::sys::signal::Signal::SIGKILL;
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), kill);
                }
            }
        }
    }
}

/// A process that belongs to an owner.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) pid: u32,
    /// Whether its working folder is one that a lab made here.
    works_here: bool,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}

impl Home {
    pub(crate) async fn new() -> Self {
        Self::named("tmp").await
    }

    /// One whose `TMPDIR` has this name.
    pub(crate) async fn named(name: &str) -> Self {
        Self::at_turn(name, turn(1).await)
    }

    /// The same, in a turn that was waited for.
    pub(crate) fn at_turn(name: &str, turn: SemaphorePermit<'static>) -> Self {
        let root = TempDir::new().expect("must be made");
        let tmp = Utf8PathBuf::from_path_buf(root.path().join(name)).expect("must be UTF-8");
        std::fs::create_dir(&tmp).expect("must be made");
        Self {
            root,
            tmp,
            _turn: turn,
        }
    }

    /// Its `TMPDIR`.
    pub(crate) fn tmp(&self) -> &Utf8Path {
        &self.tmp
    }

    /// Where the program keeps what it knows of named labs.
    pub(crate) fn state(&self) -> Utf8PathBuf {
        self.file("state")
    }

    /// A file beside `TMPDIR`, where no owner leaves anything unasked.
    pub(crate) fn file(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.root.path())
            .expect("must be UTF-8")
            .join(name)
    }

    /// A program that runs here, with Kubernetes' programs at hand and nothing of the lab's
    /// settings in its environment.
    pub(crate) async fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let assets = programs::real().await;
        let mut command = Command::new(program);
        command
            .env("TMPDIR", &self.tmp)
            .env("XDG_STATE_HOME", self.state())
            .env("TEST_ASSET_ETCD", &assets.etcd)
            .env("TEST_ASSET_KUBE_APISERVER", &assets.kube_apiserver)
            .env("TEST_ASSET_KUBECTL", &assets.kubectl)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for name in [
            "LAB_KEEP",
            "LAB_KUBERNETES",
            "LAB_BACKEND",
            "LAB_NAME",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// The program `tokenlab`.
    pub(crate) async fn tokenlab(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_tokenlab")).await;
        command.args(args);
        command
    }

    /// The processes that have this `TMPDIR` in their environment, or work in it. A zombie has
    /// neither: it is gone, and only waits for its parent.
    pub(crate) fn processes(&self) -> Vec<Found> {
        let home = self.root.path().as_os_str().as_bytes();
        let names_it = |bytes: &[u8]| bytes.windows(home.len()).any(|part| part == home);
        let mut found: Vec<_> = std::fs::read_dir("/proc")
            .expect("must be readable")
            .filter_map(|entry| {
                let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
                let proc = PathBuf::from(format!("/proc/{pid}"));
                let environment = std::fs::read(proc.join("environ")).unwrap_or_default();
                let folder = std::fs::read_link(proc.join("cwd")).unwrap_or_default();
                if !names_it(&environment) && !names_it(folder.as_os_str().as_bytes()) {
                    return None;
                }
                let name = std::fs::read_to_string(proc.join("comm")).ok()?;
                Some(Found {
                    name: name.trim_end().to_owned(),
                    pid,
                    works_here: folder.starts_with(&self.tmp),
                })
            })
            .collect();
        found.sort();
        found
    }

    /// What lies in `TMPDIR`.
    pub(crate) fn entries(&self) -> Vec<Utf8PathBuf> {
        let entries = self.tmp.read_dir_utf8().expect("must be readable");
        entries
            .map(|entry| entry.expect("must be readable").into_path())
            .collect()
    }

    /// Waits until a process of this name works here; one that is only asked for its version
    /// does not.
    pub(crate) async fn works(&self, name: &str) -> Found {
        let look = async || {
            let mut all = self.processes();
            match all.iter().position(|it| it.name == name && it.works_here) {
                Some(found) => Probe::<_, Infallible>::Ready(all.swap_remove(found)),
                None => Probe::NotYet(format!("{all:?}").into()),
            }
        };
        let poll = Poll {
            every: Duration::from_millis(1),
            ..SOON
        };
        until(&format!("{name} works"), poll, look)
            .await
            .expect("must come true")
    }

    /// Waits until an owner has made its run folder.
    pub(crate) async fn folder_made(&self) {
        let look = async || match &*self.entries() {
            [] => Probe::<_, Infallible>::NotYet("nothing is there".into()),
            _ => Probe::Ready(()),
        };
        let poll = Poll {
            every: Duration::from_millis(1),
            ..SOON
        };
        until("the run folder is made", poll, look)
            .await
            .expect("must come true");
    }

    /// All of a lab must be there: without that, nothing left would mean nothing. Its run
    /// folder.
    pub(crate) fn has_a_lab(&self) -> Utf8PathBuf {
        let processes = self.processes();
        for name in ["etcd", "kube-apiserver", "sh"] {
            let is_there = processes.iter().any(|found| found.name == name);
            assert!(is_there, "{name} must run: {processes:?}");
        }
        match &*self.entries() {
            [folder] => folder.clone(),
            entries => panic!("one folder must be there: {entries:?}"),
        }
    }

    /// Waits until no process of the owner runs.
    pub(crate) async fn no_process(&self) {
        let look = async || match &*self.processes() {
            [] => Probe::<_, Infallible>::Ready(()),
            left => Probe::NotYet(format!("{left:?}").into()),
        };
        until("no process is left", SOON, look)
            .await
            .expect("must come true");
    }

    /// Waits until there is no process of the owner and nothing in `TMPDIR`.
    pub(crate) async fn nothing_left(&self) {
        let look = async || match (&*self.processes(), &*self.entries()) {
            ([], []) => Probe::<_, Infallible>::Ready(()),
            left => Probe::NotYet(format!("{left:?}").into()),
        };
        until("nothing is left", SOON, look)
            .await
            .expect("must come true");
    }

    /// Waits until there is no process of the owner; its run folder, with the logs, must be
    /// there, and have been announced in `stderr`.
    pub(crate) async fn only_the_folder_left(&self, stderr: &str) -> Utf8PathBuf {
        self.no_process().await;
        let entries = self.entries();
        let [folder] = &*entries else {
            panic!("one folder must be left: {entries:?}");
        };
        assert!(folder.join("logs").is_dir(), "{folder} must have logs");
        let announced = format!("tokenlab: the run folder is kept: {folder}\n");
        assert_eq!(stderr.matches(&announced).count(), 1, "{stderr}");
        folder.clone()
    }

    /// The same of a lab that failed: with diagnostics in the folder, announced too, that have
    /// no key.
    pub(crate) async fn only_evidence_left(&self, stderr: &str) -> Utf8PathBuf {
        let folder = self.only_the_folder_left(stderr).await;
        let shown = folder.join("diagnostics");
        let announced = format!("tokenlab: diagnostics, with tokens and keys redacted: {shown}\n");
        assert_eq!(stderr.matches(&announced).count(), 1, "{stderr}");
        let keys = async |folder: &Utf8Path| {
            let found = Command::new("grep")
                .args(["-r", "-l", "-e", "PRIVATE KEY", folder.as_str()])
                .output();
            found.await.expect("must run").stdout
        };
        assert!(!keys(&folder).await.is_empty(), "a lab has keys");
        assert!(keys(&shown).await.is_empty(), "{shown} has a key");
        folder
    }
}
