//! Folders for temporary files of every kind: what can work works, the rest is told.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::filters::assert_text;
use crate::home::Home;
use crate::owner::ended;
use crate::skipped::skip;

/// What `tokenlab demo` says with this `TMPDIR`.
async fn refusal(home: &Home, tmpdir: impl AsRef<OsStr>) -> String {
    let output = ended(home.tokenlab(&["demo"]).await.env("TMPDIR", tmpdir)).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    assert_eq!(output.stdout, "");
    home.nothing_left().await;
    output.stderr
}

#[tokio::test]
async fn one_that_is_not_there() {
    let home = Home::new().await;
    assert_text!(refusal(&home, home.file("nowhere")).await, @"
    error: the run folder `[run folder]` could not be made: No such file or directory (os error 2)

    hint: set TMPDIR to a folder that you may write to
    ");
}

#[tokio::test]
async fn a_file_instead_of_one() {
    let home = Home::new().await;
    std::fs::write(home.file("file"), "").expect("must be written");
    assert_text!(refusal(&home, home.file("file")).await, @"
    error: the run folder `[run folder]` could not be made: Not a directory (os error 20)

    hint: set TMPDIR to a folder that you may write to
    ");
}

/// `/sys` refuses root as well; in what words, depends on who asks and how it is mounted.
#[tokio::test]
async fn one_that_may_not_be_written() {
    let home = Home::new().await;
    let text = refusal(&home, "/sys").await;
    let error = "error: the run folder `/sys/tokenlab-";
    assert!(text.starts_with(error), "{text}");
    let hint = "\n\nhint: set TMPDIR to a folder that you may write to\n";
    assert!(text.ends_with(hint), "{text}");
}

#[tokio::test]
async fn one_whose_name_is_not_utf8() {
    let home = Home::new().await;
    let name = OsStr::from_bytes(b"/tmp/\xff");
    assert_text!(refusal(&home, name).await, @"
    error: the run folder `[run folder]` could not be made: the path is not UTF-8

    hint: set TMPDIR to a folder whose path is UTF-8 and has no line break
    ");
}

#[tokio::test]
async fn one_whose_name_has_a_line_break() {
    let home = Home::new().await;
    assert_text!(refusal(&home, "/tmp/a\nb").await, @"
    error: the run folder `/tmp/a
    [run folder]` could not be made: a line break in the path

    hint: set TMPDIR to a folder whose path is UTF-8 and has no line break
    ");
}

/// A socket's address holds some 100 bytes.
#[tokio::test]
async fn one_whose_path_is_longer_than_a_socket_s_works() {
    works(&Home::named(&"long".repeat(50)).await).await;
}

#[tokio::test]
async fn one_whose_name_a_shell_would_split_works() {
    works(&Home::named("two  blanks 'and' \"quotes\" $HOME * \\n --x ").await).await;
}

async fn works(home: &Home) {
    let output = ended(&mut home.tokenlab(&["demo"]).await).await;
    assert!(output.status.success(), "{output}");
    home.nothing_left().await;
    // The guardian's own turn: it deletes the folder of an owner that cannot.
    let mut demo = home.tokenlab(&["demo"]).await;
    let mut demo = demo
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("must start");
    home.works("kube-apiserver").await;
    assert_eq!(home.entries().len(), 1);
    demo.kill().await.expect("must be killed");
    home.nothing_left().await;
}

#[tokio::test]
async fn a_relative_one_is_taken_from_where_the_owner_works() {
    let home = Home::new().await;
    let mut demo = home.tokenlab(&["demo"]).await;
    let output = ended(demo.env("TMPDIR", "tmp").current_dir(home.file(""))).await;
    assert!(output.status.success(), "{output}");
    home.nothing_left().await;
}

#[tokio::test]
async fn a_full_one() {
    let home = Home::new().await;
    let full = "mount -t tmpfs -o size=256k none \"$TMPDIR\" && exec \"$@\"";
    let unshare = [
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        full,
        "sh",
    ];
    let mut probe = home.command("unshare").await;
    let able = probe.args(unshare).arg("true").output().await;
    if !able.is_ok_and(|output| output.status.success()) {
        skip(
            "failures::run_folder::a_full_one",
            "no user namespaces here",
        );
        return;
    }
    let mut demo = home.command("unshare").await;
    let demo = demo
        .args(unshare)
        .args([env!("CARGO_BIN_EXE_tokenlab"), "demo"]);
    let output = ended(demo).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    let text = output.stderr;
    assert!(text.contains("no space left on device"), "{text}");
    assert!(
        text.ends_with("hint: free some space, or set TMPDIR to a folder on another disk\n"),
        "{text}"
    );
    home.nothing_left().await;
}
