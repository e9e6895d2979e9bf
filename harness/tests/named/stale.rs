//! What is left of a lab when its guardian could not take it away: after a reboot, or when both were
//! killed.

use insta::{allow_duplicates, assert_snapshot};
use rstest::rstest;

use crate::home::Home;
use crate::support::{done, filtered, kill_both, nothing_left, record, stands, tokenlab, up};

/// Writes another boot into the record, as the next boot finds it.
fn reboot(home: &Home, name: &str) {
    let path = record(home, name);
    let text = std::fs::read_to_string(&path).expect("must be there");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("must be known");
    let other = text.replace(boot.trim(), "01234567-89ab-cdef-0123-456789abcdef");
    assert_ne!(other, text, "the record must name the boot");
    std::fs::write(&path, other).expect("must be written");
}

#[rstest]
#[case::up("up")]
#[case::down("down")]
#[tokio::test]
async fn after_a_reboot(#[case] verb: &str) {
    let home = Home::new().await;
    let lab = up(&home, "stale").await;
    kill_both(&home, &lab);
    reboot(&home, "stale");
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
    kill_both(&home, &lab);
    stands(&home, "lost", "lost").await;
    home.works("etcd").await;
    let ended = tokenlab(&home, &["down", "lost"]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    nothing_left(&home).await;
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
    kill_both(&home, &lab);
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
