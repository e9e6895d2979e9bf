//! What lost its owner, and what did not. Each of these looks at all processes of this user, and
//! takes away what other tests have left to look at: so it runs alone.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use rstest::rstest;
use tokenlab_harness::RunFolder;

use crate::home::Home;
use crate::peer;
use crate::support::{alone, done, kill_both, nothing_left, tokenlab, up};

/// A run folder of an older version: it names no owner.
fn old_folder(home: &Home, name: &str, touched: &str) -> Utf8PathBuf {
    let path = home.tmp().join(name);
    std::fs::create_dir(&path).expect("must be made");
    let touch = Command::new("touch")
        .args(["-d", touched, path.as_str()])
        .status();
    assert!(touch.expect("must run").success());
    path
}

/// A run folder whose owner has ended.
fn lost_folder(home: &Home, name: &str) -> Utf8PathBuf {
    let folder = RunFolder::create_in(home.tmp()).expect("must be made");
    let owner = std::fs::read_to_string(folder.path().join("owner")).expect("must be there");
    let mut words: Vec<_> = owner.trim().split(':').collect();
    // Nothing began in the first tick after the boot but the kernel.
    words[2] = "1";
    let path = home.tmp().join(name);
    std::fs::create_dir(&path).expect("must be made");
    std::fs::write(path.join("owner"), words.join(":")).expect("must be written");
    path
}

fn says(output: &tokenlab_harness::Output, line: &str) {
    assert!(output.stderr.contains(line), "`{line}` must be in {output}");
}

#[tokio::test]
async fn all_that_lost_its_owner_goes_and_nothing_else() {
    let home = alone().await;
    let lab = up(&home, "lost").await;
    kill_both(&home, &lab).await;
    std::fs::remove_dir_all(home.state()).expect("must be removed");
    // Nobody knows of the lab any more: its folder and its processes are strays.
    let etcd = home.works("etcd").await.pid;

    let owned = RunFolder::create_in(home.tmp()).expect("must be made");
    let lost = lost_folder(&home, "tokenlab-0123456789ab");
    let kept = lost_folder(&home, "tokenlab-0123456789ac");
    std::fs::write(kept.join("kept"), "").expect("must be written");
    let evidence = old_folder(&home, "tokenlab-0123456789ad", "1 hour ago");
    std::fs::create_dir(evidence.join("diagnostics")).expect("must be made");
    let young = old_folder(&home, "tokenlab-0123456789ae", "1 minute ago");
    let old = old_folder(&home, "tokenlab-0123456789af", "1 hour ago");
    let another = old_folder(&home, "tokenlab-notes", "1 year ago");
    let there = |paths: &[&Utf8Path]| paths.iter().all(|path| path.exists());

    let dry = tokenlab(&home, &["down", "--all", "--dry-run"]).await;
    assert_eq!(dry.status.code(), Some(0), "{dry}");
    says(
        &dry,
        &format!(
            "would remove: run folder {lost} (its owner, pid {}, has ended)",
            std::process::id()
        ),
    );
    says(&dry, &format!("would remove: run folder {}", lab.folder));
    says(
        &dry,
        &format!(
            "would remove: process {etcd} (etcd, its owner, pid {}, has ended)",
            lab.pid
        ),
    );
    says(
        &dry,
        &format!("would remove: run folder {old} (it names no owner, and nobody works in it)"),
    );
    says(
        &dry,
        &format!(
            "left: run folder {kept} (it was kept, on purpose or for a failure): --kept removes it"
        ),
    );
    says(
        &dry,
        &format!(
            "left: run folder {evidence} (it was kept, on purpose or for a failure): --kept removes it"
        ),
    );
    says(
        &dry,
        &format!(
            "left: run folder {young} (it names no owner, and it is less than ten minutes old)"
        ),
    );
    assert!(!dry.stderr.contains(owned.path().as_str()), "{dry}");
    assert!(!dry.stderr.contains(another.as_str()), "{dry}");
    assert!(there(&[&lost, &old, &kept, &evidence, &young, &lab.folder]));
    home.works("kube-apiserver").await;

    let all = tokenlab(&home, &["down", "--all"]).await;
    assert_eq!(all.status.code(), Some(0), "{all}");
    home.no_process().await;
    for gone in [&lost, &old, &lab.folder] {
        assert!(!gone.exists(), "{gone} must be gone: {all}");
    }
    assert!(
        there(&[owned.path(), &kept, &evidence, &young, &another]),
        "{all}"
    );

    let report = done(&home, &["down", "--all", "--kept", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&report).expect("must be JSON");
    assert_eq!(
        report["removed"].as_array().map(Vec::len),
        Some(2),
        "{report}"
    );
    assert!(!kept.exists() && !evidence.exists());
    assert!(there(&[owned.path(), &young, &another]));
}

/// An owner that names itself nowhere, as those of older versions: its guardian speaks for it.
#[tokio::test]
async fn what_a_running_guardian_may_own_stays() {
    let home = alone().await;
    let lab = up(&home, "old").await;
    let owner = lab.folder.join("owner");
    std::fs::remove_file(&owner).expect("must be there");
    let touch = Command::new("touch")
        .args(["-d", "1 hour ago", lab.folder.as_str()])
        .status();
    assert!(touch.expect("must run").success());
    let another = old_folder(&home, "tokenlab-0123456789ab", "1 hour ago");
    let dry = tokenlab(&home, &["down", "--all", "--dry-run"]).await;
    says(&dry, "would end the lab `old`");
    says(
        &dry,
        &format!(
            "left: run folder {} (it names no owner, and process ",
            lab.folder
        ),
    );
    says(
        &dry,
        &format!("left: run folder {another} (it names no owner, and the guardian "),
    );
    for found in home.processes() {
        let removed = format!("would remove: process {} ", found.pid);
        assert!(!dry.stderr.contains(&removed), "{dry}");
    }
    done(&home, &["down", "--all"]).await;
    assert!(
        !another.exists(),
        "when no guardian is left, nobody owns it"
    );
    nothing_left(&home).await;
}

/// Somebody else's webhook works where its author is, and is known by what the lab has noted.
#[rstest]
#[case::by_name(true)]
#[case::as_a_stray(false)]
#[tokio::test]
async fn a_webhook_of_somebody_elses_goes_too(#[case] known: bool) {
    let Some(peer) = peer::built("strays::a_webhook_of_somebody_elses_goes_too").await else {
        return;
    };
    let home = alone().await;
    let line = format!("'{peer}' --host 127.0.0.1 --port {{port}} --cert {{cert}} --key {{key}}");
    let lab = done(&home, &["up", "peer", "--json", "--webhook-command", &line]).await;
    let lab = serde_json::from_str(&lab).expect("must be a status");
    kill_both(&home, &lab).await;
    let is_there = |name| home.processes().iter().any(|it| it.name == name);
    // The kernel keeps fifteen characters of a name.
    assert!(is_there("token-webhook-p") && is_there("etcd"));
    if known {
        done(&home, &["down", "peer"]).await;
    } else {
        std::fs::remove_dir_all(home.state()).expect("must be removed");
        let all = tokenlab(&home, &["down", "--all"]).await;
        assert_eq!(all.status.code(), Some(0), "{all}");
        says(&all, "(token-webhook-p, its owner, pid ");
    }
    nothing_left(&home).await;
}

#[tokio::test]
async fn all_labs_are_ended() {
    let home = alone().await;
    up(&home, "one").await;
    let all = tokenlab(&home, &["down", "--all"]).await;
    assert_eq!(all.status.code(), Some(0), "{all}");
    says(&all, "the lab `one` has ended\n");
    nothing_left(&home).await;
    let none = tokenlab(&home, &["down", "--all"]).await;
    assert_eq!(none.status.code(), Some(0), "{none}");
    says(&none, "no lab runs");
}
