//! Two people on one machine.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};

use insta::assert_snapshot;
use nix::unistd::Uid;

use crate::home::Home;
use crate::skipped::{has, skip};
use crate::support::{alone, done, filtered, nothing_left, tokenlab, up};

/// Nobody, by the number that it has everywhere.
const NOBODY: u32 = 65534;

fn is_root(test: &str) -> bool {
    let root = Uid::effective().is_root() && has("setpriv");
    if !root {
        skip(test, "it takes root, and `setpriv`, to be two users");
    }
    root
}

#[tokio::test]
async fn each_has_labs_of_their_own() {
    if !is_root("users::each_has_labs_of_their_own") {
        return;
    }
    let home = Home::new().await;
    let lab = up(&home, "default").await;
    // Where both may look.
    for folder in [home.file(""), home.tmp().to_owned()] {
        std::fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("must be set");
    }
    let program = home.file("tokenlab");
    // Not by this process: a child of another test would hold it open for writing, and then it cannot
    // be run.
    let copied = std::process::Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_tokenlab"))
        .arg(&program)
        .status()
        .expect("cp must run");
    assert!(copied.success(), "must be copied");
    let other = async |args: &[&str]| {
        let mut command = home.command("setpriv").await;
        command
            .args([
                &format!("--reuid={NOBODY}"),
                "--clear-groups",
                program.as_str(),
            ])
            .args(args)
            .current_dir("/");
        crate::owner::ended(&mut command).await
    };
    // With the environment of the first, as `su` without `-` has it.
    let list = other(&["list"]).await;
    assert_eq!(list.status.code(), Some(1), "{list}");
    assert_snapshot!(filtered(&list.stderr), @"
    error: the folder of labs `[test folder]/state/tokenlab/labs` could not be read: Permission denied (os error 13)

    hint: it may be another user's, and each user has labs of their own: set XDG_STATE_HOME to a folder of yours
    ");
    let all = other(&["down", "--all"]).await;
    assert_eq!(all.status.code(), Some(1), "{all}");
    // It may not even knock.
    let socket = lab.folder.join("supervisor.sock");
    assert!(socket.exists());
    let knock = tokio::process::Command::new("setpriv")
        .args([
            &format!("--reuid={NOBODY}"),
            "--clear-groups",
            "test",
            "-e",
            socket.as_str(),
        ])
        .status();
    assert_eq!(knock.await.expect("must run").code(), Some(1));
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

#[tokio::test]
async fn another_ones_folder_is_refused() {
    if !is_root("users::another_ones_folder_is_refused") {
        return;
    }
    let home = alone().await;
    let labs = home.state().join("tokenlab/labs");
    std::fs::create_dir_all(&labs).expect("must be made");
    chown(&labs, Some(NOBODY), Some(NOBODY)).expect("must be given away");
    for args in [&["up"][..], &["list"], &["down"], &["down", "--all"]] {
        let output = tokenlab(&home, args).await;
        assert_eq!(output.status.code(), Some(1), "{output}");
        let error = "belongs to another user (uid 65534)";
        assert!(output.stderr.contains(error), "{output}");
        assert!(
            output
                .stderr
                .contains("hint: each user has labs of their own"),
            "{output}"
        );
    }
    // Nor is a run folder of theirs touched.
    let theirs = home.tmp().join("tokenlab-0123456789ab");
    std::fs::create_dir(&theirs).expect("must be made");
    chown(&theirs, Some(NOBODY), Some(NOBODY)).expect("must be given away");
    std::fs::remove_dir_all(&labs).expect("must be removed");
    let all = tokenlab(&home, &["down", "--all", "--kept"]).await;
    assert_eq!(all.status.code(), Some(0), "{all}");
    assert!(!all.stderr.contains(theirs.as_str()), "{all}");
    assert!(theirs.exists());
}
