use std::path::Path;
use std::process::Stdio;

use rstest::rstest;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::peer::soon;
use crate::program::run;
use crate::skipped::{has, skip};

#[rstest]
#[tokio::test]
async fn a_shell_reads_it(#[values("bash", "elvish", "fish", "powershell", "zsh")] shell: &str) {
    let text = run(&["completion", shell], Path::new("/")).await;
    let script = text.strip_prefix("exit_code: 0\n----- stdout -----\n");
    let script = script.and_then(|text| text.strip_suffix("----- stderr -----\n"));
    let script = script.unwrap_or_else(|| panic!("{text}"));
    for word in [
        "tokenlab-webhook",
        "check-config",
        "completion",
        "max-in-flight",
    ] {
        assert!(script.contains(word), "{word}: {script}");
    }
    if !["bash", "fish", "zsh"].contains(&shell) {
        return;
    }
    if !has(shell) {
        skip(
            &format!("completion::a_shell_reads_it ({shell})"),
            "no such shell here",
        );
        return;
    }
    let mut reader = Command::new(shell);
    let reader = reader.arg("-n").kill_on_drop(true).stdin(Stdio::piped());
    let mut reader = reader.stderr(Stdio::piped()).spawn().expect("a shell");
    let mut stdin = reader.stdin.take().expect("a pipe");
    soon(stdin.write_all(script.as_bytes()))
        .await
        .expect("it must be read");
    drop(stdin);
    let read = soon(reader.wait_with_output()).await.expect("a status");
    let stderr = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{stderr}");
}
