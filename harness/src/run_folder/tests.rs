//! What is left of a run folder, and who may read it.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn it_is_private_and_goes_when_dropped() {
    let folder = RunFolder::create().expect("must be made");
    let path = folder.path().to_owned();
    let mode =
        |path: &Utf8Path| path.metadata().expect("must be there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let file = folder.write("key", "secret").expect("must be written");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(
        std::fs::read_to_string(&file).expect("must be read"),
        "secret"
    );
    drop(folder);
    assert!(!path.exists());
}

#[test]
fn kept_it_stays() {
    let folder = RunFolder::create().expect("must be made");
    let path = folder.path().to_owned();
    folder.keep();
    drop(folder);
    assert!(path.join(KEPT).is_file());
    std::fs::remove_dir_all(&path).expect("must be removed");
}

#[test]
fn evidence_has_a_copy_without_secrets() {
    let folder = RunFolder::create().expect("must be made");
    let path = folder.path().to_owned();
    let text = "token: canary\n";
    folder.write("a", text).expect("must be written");
    folder.set_evidence(true);
    drop(folder);
    let read = |name| std::fs::read_to_string(path.join(name)).expect("must be there");
    assert_eq!(read("a"), text);
    let copy = read("diagnostics/run-folder/a");
    assert_eq!(copy, "token: [REDACTED: token]\n");
    std::fs::remove_dir_all(&path).expect("must be removed");
}

/// A webhook that is somebody else's program may log what it is asked.
#[test]
fn a_token_that_the_webhook_was_shown_is_no_word_of_the_evidence() {
    let folder = RunFolder::create().expect("must be made");
    let path = folder.path().to_owned();
    folder
        .write("webhook.log", "asked about opaque\n")
        .expect("must be written");
    folder.know(&Token::from("opaque"));
    assert!(!format!("{folder:?}").contains("opaque"));
    folder.set_evidence(true);
    drop(folder);
    let copy = path.join("diagnostics/run-folder/webhook.log");
    let copy = std::fs::read_to_string(copy).expect("must be there");
    assert_eq!(copy, "asked about [REDACTED: credential of this lab]\n");
    std::fs::remove_dir_all(&path).expect("must be removed");
}

#[test]
fn diagnostics_alone_stay() {
    let folder = RunFolder::create().expect("must be made");
    let path = folder.path().to_owned();
    folder.folder("diagnostics").expect("must be made");
    folder.folder("logs").expect("must be made");
    folder.write("key", "secret").expect("must be written");
    folder.keep_diagnostics();
    assert!(path.join("key").is_file(), "the lab goes on");
    drop(folder);
    let left = path.read_dir_utf8().expect("must be there").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().to_owned()).collect();
    assert_eq!(left, ["diagnostics"]);
    std::fs::remove_dir_all(&path).expect("must be removed");
}

#[test]
fn what_cannot_be_made_says_where_and_what_to_do() {
    let error = RunFolder::create_in("/proc/tokenlab".into()).expect_err("must fail");
    let text = error.to_string();
    assert!(
        text.starts_with("the run folder `/proc/tokenlab/tokenlab-"),
        "{text}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("TMPDIR")));
}
#[test]
fn a_full_disk_is_told_what_to_do_about() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        let (path, source) = ("key".into(), kind.into());
        let hint = RunFolderError::Write { path, source }.hint();
        assert!(hint.is_some_and(|hint| hint.starts_with("free some space")));
    }
}
