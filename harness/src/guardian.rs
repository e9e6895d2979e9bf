//! Nothing outlives its owner: a small shell process that ends what this process started.
//!
//! A destructor does not run after `kill -9`, libtest has no hook at its exit, and a signal
//! handler needs the process to be well. A pipe needs nothing: the kernel closes it when the
//! process is gone. At the other end waits a POSIX `sh` (see `guardian.sh`), which then kills
//! the process groups and deletes the folders that it was told of.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use camino::Utf8Path;

/// What the container engine keeps, and the guardian removes by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A container, with its volumes.
    Container,
    /// A network, once nothing is attached to it.
    Network,
}

impl Kept {
    const fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
        }
    }
}

/// The guardian of this process; one, started when it is first needed.
#[derive(Debug)]
pub struct Guardian {
    pipe: Mutex<ChildStdin>,
}

impl Guardian {
    /// The guardian of this process.
    pub fn get() -> io::Result<&'static Self> {
        static GUARDIAN: OnceLock<Guardian> = OnceLock::new();
        static START: Mutex<()> = Mutex::new(());
        let _one_starts = START.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guardian) = GUARDIAN.get() {
            return Ok(guardian);
        }
        let started = Self::start()?;
        Ok(GUARDIAN.get_or_init(|| started))
    }

    /// Its working folder and its streams belong to nobody: it must neither keep a mount busy
    /// nor hold open the pipe that somebody reads our output from.
    fn start() -> io::Result<Self> {
        Self::start_by(&mut Command::new("/bin/sh"))
    }

    /// It has the environment of its owner: by that docker finds the same engine.
    fn start_by(shell: &mut Command) -> io::Result<Self> {
        let mut child = shell
            .args(["-c", include_str!("guardian.sh"), "tokenlab-guardian"])
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = child
            .stdin
            .take()
            .ok_or_else(|| io::Error::other("no pipe"))?;
        Ok(Self {
            pipe: Mutex::new(pipe),
        })
    }

    /// Kill this process group when the owner is gone.
    ///
    /// `pid` must be a child that the caller has not reaped yet, and lead its group.
    pub(crate) fn process(&self, pid: u32) -> io::Result<()> {
        self.tell(&format!("process {pid} {}", start_time(pid)))
    }

    /// The process has been reaped.
    pub(crate) fn ended(&self, pid: u32) -> io::Result<()> {
        self.tell(&format!("ended {pid}"))
    }

    /// Delete this folder when the owner is gone. Told before the folder is made.
    pub(crate) fn folder(&self, path: &Utf8Path) -> io::Result<()> {
        one_line(path.as_str(), "a line break in the path")?;
        self.tell(&format!("folder {path}"))
    }

    /// Do not delete this folder: it is kept on purpose, or already gone.
    pub(crate) fn keep(&self, path: &Utf8Path) -> io::Result<()> {
        self.tell(&format!("keep {path}"))
    }

    /// Delete all of this folder but `diagnostics` in it when the owner is gone.
    pub(crate) fn keep_only_in(&self, path: &Utf8Path) -> io::Result<()> {
        self.tell(&format!("only {path}"))
    }

    /// Remove this when the owner is gone. Told before it is made.
    pub(crate) fn kept(&self, kept: Kept, name: &str) -> io::Result<()> {
        one_line(name, "a line break in the name")?;
        self.tell(&format!("{} {name}", kept.word()))
    }

    /// It is gone already.
    pub(crate) fn gone(&self, kept: Kept, name: &str) -> io::Result<()> {
        self.tell(&format!("gone {} {name}", kept.word()))
    }

    fn tell(&self, line: &str) -> io::Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        pipe.write_all(format!("{line}\n").as_bytes())
    }
}

/// Two lines would be two orders, and the second one anything.
fn one_line(text: &str, otherwise: &'static str) -> io::Result<()> {
    if text.contains('\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, otherwise));
    }
    Ok(())
}

/// When the process began, in clock ticks since boot: field 22 of `/proc/PID/stat`
/// (`proc_pid_stat(5)`). Where there is no such file, `-`: the number alone must do.
fn start_time(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            let behind_name = stat.rsplit_once(") ")?.1;
            behind_name.split(' ').nth(19).map(str::to_owned)
        })
        .unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Child;
    use std::time::Duration;

    use camino::Utf8PathBuf;

    use super::*;
    use crate::wait::{Poll, Probe, until};

    /// A process that does nothing, in a group of its own.
    struct Idle(Child);

    impl Idle {
        fn start() -> Self {
            let mut sleep = Command::new("sleep");
            Self(
                sleep
                    .arg("1000")
                    .process_group(0)
                    .spawn()
                    .expect("must start"),
            )
        }

        fn id(&self) -> u32 {
            self.0.id()
        }

        fn runs(&mut self) -> bool {
            self.0.try_wait().expect("must be a child").is_none()
        }
    }

    impl Drop for Idle {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// A folder to delete; that it is gone shows that the guardian is done.
    struct Scratch(tempfile::TempDir);

    impl Scratch {
        fn new() -> Self {
            Self(tempfile::TempDir::new().expect("must be made"))
        }

        fn path(&self) -> Utf8PathBuf {
            Utf8PathBuf::from_path_buf(self.0.path().to_owned()).expect("must be UTF-8")
        }

        async fn gone(&self) {
            let poll = Poll {
                every: Duration::from_millis(5),
                within: Duration::from_secs(30),
            };
            let look = async || {
                if self.0.path().exists() {
                    Probe::<_, Infallible>::NotYet("it is there".into())
                } else {
                    Probe::Ready(())
                }
            };
            until("the folder is gone", poll, look)
                .await
                .expect("must come true");
        }
    }

    #[tokio::test]
    async fn it_kills_what_it_was_told_of_and_nobody_else() {
        let guardian = Guardian::start().expect("must start");
        let (mut known, mut reaped, mut another) = (Idle::start(), Idle::start(), Idle::start());
        let done = Scratch::new();
        guardian.process(known.id()).expect("must be told");
        guardian.process(reaped.id()).expect("must be told");
        guardian.ended(reaped.id()).expect("must be told");
        // The number of a process that began at another time: it has been given away anew.
        let reused = format!("process {} 1", another.id());
        guardian.tell(&reused).expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        assert!(known.runs());
        drop(guardian);
        done.gone().await;
        assert!(!known.runs());
        assert!(reaped.runs());
        assert!(another.runs());
    }

    #[tokio::test]
    async fn it_kills_the_group_that_a_dead_leader_left() {
        let guardian = Guardian::start().expect("must start");
        let mut leader = Command::new("/bin/sh")
            .args(["-c", "sleep 1000 & echo $!; read -r go"])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("must start");
        let mut member = String::new();
        let stdout = leader.stdout.take().expect("must be a pipe");
        let mut stdout = io::BufReader::new(stdout);
        io::BufRead::read_line(&mut stdout, &mut member).expect("must tell");
        let done = Scratch::new();
        guardian.process(leader.id()).expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        drop(leader.stdin.take());
        leader.wait().expect("must end");
        drop(guardian);
        done.gone().await;
        // The pipe's other end closes with the last who holds it.
        let left = io::Read::read_to_string(&mut stdout, &mut member);
        assert_eq!(left.expect("must end"), 0);
    }

    #[tokio::test]
    async fn it_deletes_folders_of_any_name_but_those_to_keep() {
        let guardian = Guardian::start().expect("must start");
        let (kept, done) = (Scratch::new(), Scratch::new());
        let odd = kept.path().join(" two  blanks 'and' $HOME * \\n");
        std::fs::create_dir(&odd).expect("must be made");
        std::fs::write(odd.join("file"), "").expect("must be written");
        guardian.folder(&kept.path()).expect("must be told");
        guardian.folder(&odd).expect("must be told");
        guardian.keep(&kept.path()).expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        drop(guardian);
        done.gone().await;
        assert!(kept.path().is_dir());
        assert!(!odd.exists());
    }

    #[tokio::test]
    async fn it_leaves_diagnostics_where_it_is_told_so() {
        let guardian = Guardian::start().expect("must start");
        let (failed, kept, done) = (Scratch::new(), Scratch::new(), Scratch::new());
        let put = |scratch: &Scratch| {
            for name in ["diagnostics", "two  blanks *", ".hidden"] {
                std::fs::create_dir(scratch.path().join(name)).expect("must be made");
            }
            let file = scratch.path().join("diagnostics/key");
            std::fs::write(file, "").expect("must be written");
        };
        for scratch in [&failed, &kept] {
            put(scratch);
            guardian.folder(&scratch.path()).expect("must be told");
            guardian
                .keep_only_in(&scratch.path())
                .expect("must be told");
        }
        // It has been seen to already: what came after that is somebody else's.
        guardian.keep(&kept.path()).expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        drop(guardian);
        done.gone().await;
        let left = |scratch: &Scratch| scratch.path().read_dir_utf8().map(Iterator::count);
        assert!(failed.path().join("diagnostics/key").is_file());
        assert_eq!(left(&failed).expect("must be there"), 1);
        assert_eq!(left(&kept).expect("must be there"), 3);
    }

    #[test]
    fn a_line_break_is_refused() {
        let guardian = Guardian::get().expect("must start");
        for told in [
            guardian.folder("/tmp/a\nfolder /home".into()),
            guardian.kept(Kept::Container, "a\nfolder /home"),
        ] {
            let error = told.expect_err("must be refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    /// A guardian whose `docker` appends its command line to a file, and then does this.
    fn with_docker(folder: &Utf8Path, script: &str) -> Guardian {
        let docker = folder.join("docker");
        let calls = folder.join("calls");
        let text = format!("#!/bin/sh\necho \"$@\" >>'{calls}'\n{script}\n");
        std::fs::write(&docker, text).expect("must be written");
        std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755)).expect("must be set");
        let mut shell = Command::new("/bin/sh");
        let path = std::env::var("PATH").expect("must be there");
        shell.env("PATH", format!("{folder}:{path}"));
        Guardian::start_by(&mut shell).expect("must start")
    }

    #[tokio::test]
    async fn it_removes_containers_then_networks_then_folders_and_looks_again() {
        let (folder, done) = (Scratch::new(), Scratch::new());
        // The folder must still be there, as the containers mount it.
        let guardian = with_docker(&folder.path(), &format!("[ -d '{}' ] || exit", done.path()));
        // Told in the order in which they are made, and some are gone by then.
        for (kept, name) in [
            (Kept::Network, "lab"),
            (Kept::Container, "lab-control-plane"),
            (Kept::Container, "lab"),
            (Kept::Container, "it's $HOME *"),
        ] {
            guardian.kept(kept, name).expect("must be told");
        }
        guardian.gone(Kept::Container, "lab").expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        drop(guardian);
        done.gone().await;
        let calls = std::fs::read_to_string(folder.path().join("calls"));
        let look = "rm --force --volumes -- lab-control-plane\n\
                    rm --force --volumes -- it's $HOME *\n\
                    network rm -- lab\n";
        assert_eq!(calls.expect("must be there"), look.repeat(3));
    }

    #[tokio::test]
    async fn what_is_gone_is_not_looked_for() {
        let (folder, done) = (Scratch::new(), Scratch::new());
        let guardian = with_docker(&folder.path(), "");
        guardian.kept(Kept::Network, "lab").expect("must be told");
        guardian.gone(Kept::Network, "lab").expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        drop(guardian);
        done.gone().await;
        assert!(!folder.path().join("calls").exists());
    }

    #[tokio::test]
    async fn without_docker_the_folders_go() {
        let (folder, done) = (Scratch::new(), Scratch::new());
        for name in ["cat", "kill", "rm", "sleep"] {
            let program = crate::process::on_path(name).expect("must be there");
            std::os::unix::fs::symlink(program, folder.path().join(name)).expect("must be made");
        }
        let mut shell = Command::new("/bin/sh");
        let guardian = Guardian::start_by(shell.env("PATH", folder.path())).expect("must start");
        guardian.kept(Kept::Network, "lab").expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        drop(guardian);
        done.gone().await;
    }

    /// A minute would be too long for a test: the bound is the same code with a shorter sleep.
    #[tokio::test]
    async fn a_docker_that_hangs_is_given_up_and_killed() {
        let (folder, done) = (Scratch::new(), Scratch::new());
        let pid = folder.path().join("pid");
        let hangs = format!("echo $$ >'{pid}'; exec sleep 1000");
        let short = folder.path().join("sleep");
        let sleep = crate::process::on_path("sleep").expect("must be there");
        let script = format!("#!/bin/sh\n[ \"$1\" = 60 ] && set -- 0.2\nexec '{sleep}' \"$@\"\n");
        std::fs::write(&short, script).expect("must be written");
        std::fs::set_permissions(&short, PermissionsExt::from_mode(0o755)).expect("must be set");
        let guardian = with_docker(&folder.path(), &hangs);
        guardian.kept(Kept::Container, "lab").expect("must be told");
        guardian.folder(&done.path()).expect("must be told");
        drop(guardian);
        done.gone().await;
        let pid = std::fs::read_to_string(pid).expect("must have been asked");
        let stat = format!("/proc/{}/stat", pid.trim());
        let poll = Poll {
            every: Duration::from_millis(5),
            within: Duration::from_secs(30),
        };
        let look = async || match std::fs::read_to_string(&stat) {
            // A zombie only waits for whoever reaps orphans here.
            Ok(stat) if !stat.contains(") Z ") => Probe::<_, Infallible>::NotYet(stat.into()),
            _ => Probe::Ready(()),
        };
        until("it is killed", poll, look)
            .await
            .expect("must come true");
    }
}
