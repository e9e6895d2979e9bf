//! What is left of a lab when its guardian could not take it away: after a reboot, or when both were
//! killed.

use std::process::Stdio;

use camino::Utf8Path;
use insta::{allow_duplicates, assert_snapshot};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;

use crate::home::Home;
use crate::support::{done, filtered, kill_both, nothing_left, record, stands, tokenlab, up};

/// Writes another boot into the record and the run folder, as the next boot finds them.
fn reboot(home: &Home, name: &str, folder: &Utf8Path) {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("must be known");
    for path in [record(home, name), folder.join("owner")] {
        let text = std::fs::read_to_string(&path).expect("must be there");
        let other = text.replace(boot.trim(), "01234567-89ab-cdef-0123-456789abcdef");
        assert_ne!(other, text, "{path} must name the boot");
        std::fs::write(&path, other).expect("must be written");
    }
}

#[rstest]
#[case::up("up")]
#[case::down("down")]
#[tokio::test]
async fn after_a_reboot(#[case] verb: &str) {
    let home = Home::new().await;
    let lab = up(&home, "stale").await;
    kill_both(&home, &lab).await;
    reboot(&home, "stale", &lab.folder);
    stands(&home, "stale", "before-boot").await;
    // etcd and kube-apiserver run on here, which after a real one they do not.
    assert!(lab.folder.exists());

    let status = tokenlab(&home, &["status", "stale"]).await;
    assert_eq!(status.status.code(), Some(1), "{status}");
    allow_duplicates! {
        assert_snapshot!(filtered(&status.stderr), @"
        error: the lab `stale` ended when this machine was started anew

        hint: `tokenlab up stale` starts it anew, `tokenlab down stale` takes away what is left of it
        ");
    }

    done(&home, &[verb, "stale"]).await;
    assert!(!lab.folder.exists(), "what was left must be gone");
    if verb == "up" {
        stands(&home, "stale", "running").await;
        home.has_a_lab();
        done(&home, &["down", "stale"]).await;
    }
    nothing_left(&home).await;
}

#[tokio::test]
async fn killed_together_with_its_guardian() {
    let home = Home::new().await;
    let lab = up(&home, "lost").await;
    kill_both(&home, &lab).await;
    stands(&home, "lost", "lost").await;
    home.works("etcd").await;
    let ended = tokenlab(&home, &["down", "lost"]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    nothing_left(&home).await;
}

/// A person who looks at the files, be it the one who ends the lab, goes on.
#[tokio::test]
async fn who_works_in_its_run_folder_is_not_of_it() {
    let home = Home::new().await;
    let lab = up(&home, "lost").await;
    kill_both(&home, &lab).await;
    let mut visitor = home.command("cat").await;
    visitor.stdin(Stdio::piped()).current_dir(&lab.folder);
    let mut visitor = visitor.spawn().expect("must start");
    let mut down = home.tokenlab(&["down", "lost"]).await;
    let ended = crate::owner::ended(down.current_dir(&lab.folder)).await;
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    assert_eq!(visitor.try_wait().expect("must be asked"), None);
    drop(visitor.stdin.take());
    let left = visitor.wait().await.expect("must end");
    assert!(left.success(), "{left}");
    nothing_left(&home).await;
}

/// Whatever a record says: only the lab's own run folder is deleted.
#[tokio::test]
async fn what_is_not_its_run_folder_is_not_deleted() {
    let home = Home::new().await;
    let lab = up(&home, "lost").await;
    let precious = home.file("precious");
    std::fs::create_dir(&precious).expect("must be made");
    let path = record(&home, "lost");
    let text = std::fs::read_to_string(&path).expect("must be there");
    let other = text.replace(lab.folder.as_str(), precious.as_str());
    assert_ne!(other, text, "the record must name the folder");
    std::fs::write(&path, other).expect("must be written");
    let before = home.processes();
    kill_both(&home, &lab).await;
    let ended = tokenlab(&home, &["down", "lost"]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    let error = format!("run folder {precious} could not be removed: it is no run folder");
    assert!(ended.stderr.contains(&error), "{ended}");
    assert!(precious.exists() && lab.folder.exists());
    for process in before {
        let pid = Pid::from_raw(i32::try_from(process.pid).expect("must be a number"));
        let _ = kill(pid, Signal::SIGKILL);
    }
    home.no_process().await;
}

/// One that is kept on purpose stays, whatever became of its owner.
#[tokio::test]
async fn a_kept_folder_is_not_taken_for_what_is_left() {
    let home = Home::new().await;
    let mut kept = home.tokenlab(&["up", "kept", "--json"]).await;
    kept.env("LAB_KEEP", "1");
    let output = crate::owner::ended(&mut kept).await;
    let lab: tokenlab_harness::named::Status =
        serde_json::from_str(&output.stdout).expect("must be a status");
    kill_both(&home, &lab).await;
    let down = tokenlab(&home, &["down", "kept"]).await;
    assert_eq!(down.status.code(), Some(0), "{down}");
    let told = format!(
        "the lab `kept` has ended\nits run folder is kept: {}\n",
        lab.folder
    );
    assert!(down.stderr.ends_with(&told), "{down}");
    home.no_process().await;
    assert_eq!(home.entries(), [lab.folder]);
}
