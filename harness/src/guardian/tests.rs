//! What it does once its owner is gone.

use std::convert::Infallible;
use std::process::Child;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::*;
use crate::stand_in::stand_in;
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
async fn it_deletes_a_name_that_is_its_owners_and_none_that_another_took() {
    let guardian = Guardian::start().expect("must start");
    let (its, taken) = (Scratch::new(), Scratch::new());
    std::fs::write(its.path().join("lock"), "0123456789ab\n").expect("must be written");
    std::fs::write(taken.path().join("lock"), "ba9876543210\n").expect("must be written");
    for folder in [taken.path(), its.path()] {
        (guardian.entry("0123456789ab", &folder)).expect("must be told");
    }
    drop(guardian);
    its.gone().await;
    assert!(taken.path().join("lock").is_file());
}

#[tokio::test]
async fn it_holds_its_owners_lock_until_it_is_done() {
    let lock = tempfile::NamedTempFile::new().expect("must be made");
    let held = lock.reopen().expect("must be opened");
    held.try_lock().expect("must be free");
    let output = held.try_clone().expect("must be opened");
    let guardian = Guardian::start_by(Command::new("/bin/sh").stdout(output));
    drop(held);
    let ask = lock.reopen().expect("must be opened");
    assert!(ask.try_lock().is_err(), "the guardian must hold it");
    drop(guardian.expect("must start"));
    let free = async || match ask.try_lock() {
        Ok(()) => Probe::<_, Infallible>::Ready(()),
        Err(error) => Probe::NotYet(error.to_string().into()),
    };
    let poll = Poll {
        every: Duration::from_millis(5),
        within: Duration::from_secs(30),
    };
    until("the lock is free", poll, free)
        .await
        .expect("must come true");
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
        guardian.remove(EngineObject::Container, "a\nfolder /home"),
    ] {
        let error = told.expect_err("must be refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

/// A guardian whose `docker` appends its command line to a file, and then does this.
fn with_docker(folder: &Utf8Path, script: &str) -> Guardian {
    let calls = folder.join("calls");
    let text = format!("echo \"$@\" >>'{calls}'\n{script}");
    stand_in(&folder.join("docker"), &text);
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
    for (object, name) in [
        (EngineObject::Network, "lab"),
        (EngineObject::Container, "lab-control-plane"),
        (EngineObject::Container, "lab"),
        (EngineObject::Container, "it's $HOME *"),
    ] {
        guardian.remove(object, name).expect("must be told");
    }
    guardian
        .gone(EngineObject::Container, "lab")
        .expect("must be told");
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
    guardian
        .remove(EngineObject::Network, "lab")
        .expect("must be told");
    guardian
        .gone(EngineObject::Network, "lab")
        .expect("must be told");
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
    guardian
        .remove(EngineObject::Network, "lab")
        .expect("must be told");
    guardian.folder(&done.path()).expect("must be told");
    drop(guardian);
    done.gone().await;
}

/// A minute would be too long for a test: the bound is the same code with a sleep that ends when the
/// docker has said who it is. It is asked once: a second and a third time would keep the folders for
/// two minutes more.
#[tokio::test]
async fn a_docker_that_hangs_is_given_up_and_killed() {
    let (folder, done) = (Scratch::new(), Scratch::new());
    let pid = folder.path().join("pid");
    let hangs = format!("echo $$ >'{pid}'; exec sleep 1000");
    let sleep = crate::process::on_path("sleep").expect("must be there");
    let script = format!(
        "[ \"$1\" = 60 ] || exec '{sleep}' \"$@\"\nuntil [ -s '{pid}' ]; do '{sleep}' 0.01; done"
    );
    stand_in(&folder.path().join("sleep"), &script);
    let guardian = with_docker(&folder.path(), &hangs);
    guardian
        .remove(EngineObject::Container, "lab")
        .expect("must be told");
    guardian.folder(&done.path()).expect("must be told");
    drop(guardian);
    done.gone().await;
    let calls = std::fs::read_to_string(folder.path().join("calls"));
    let calls = calls.expect("must have been asked");
    assert_eq!(calls, "rm --force --volumes -- lab\n");
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

#[tokio::test]
async fn a_command_is_run_once_the_owner_is_gone_unless_it_is_not_needed() {
    let (folder, done) = (Scratch::new(), Scratch::new());
    let file = |name: &str| folder.path().join(name);
    let guardian = Guardian::start().expect("must start");
    let touch = |name| format!("touch '{}'", file(name));
    for name in ["it's needed", "not needed"] {
        let line = touch(name).replace("it's", r"it'\''s");
        guardian.run_at_the_end(&line).expect("must be told");
    }
    guardian
        .need_not_run(&touch("not needed"))
        .expect("must be told");
    guardian
        .run_at_the_end("two\nlines")
        .expect_err("would be two orders");
    guardian.folder(&done.path()).expect("must be told");
    assert!(!file("it's needed").exists());
    drop(guardian);
    done.gone().await;
    assert!(file("it's needed").exists());
    assert!(!file("not needed").exists());
}
