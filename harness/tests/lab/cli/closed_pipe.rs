//! Output that nobody reads (any more): `tokenlab … | head -1`.

use std::process::Stdio;

use super::tokenlab;
use crate::home::Home;
use crate::owner::{Running, ended};

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("must be made");
    drop(reader);
    writer.into()
}

#[tokio::test]
async fn before_the_first_step() {
    let home = Home::new().await;
    let output = ended(home.tokenlab(&["demo"]).await.stdout(closed())).await;
    assert_eq!(output.status.code(), Some(141), "{output}");
    assert_eq!(output.stderr, "");
    home.nothing_left().await;
}

#[tokio::test]
async fn while_the_control_plane_starts() {
    let home = Home::new().await;
    let mut demo = Running::start(home.tokenlab(&["demo"]).await);
    demo.says("the webhook answers").await;
    home.works("etcd").await;
    let output = demo.ended_unread().await;
    assert_eq!(output.status.code(), Some(141), "{output}");
    assert!(!output.stderr.contains("error"), "{output}");
    home.nothing_left().await;
}

#[tokio::test]
async fn of_a_report() {
    let home = Home::new().await;
    let output = ended(home.tokenlab(&["demo", "--json"]).await.stdout(closed())).await;
    assert_eq!(output.status.code(), Some(141), "{output}");
    home.nothing_left().await;
}

#[tokio::test]
async fn of_a_completion_script() {
    let output = ended(tokenlab(&["completions", "bash"]).stdout(closed())).await;
    assert_eq!(output.status.code(), Some(141), "{output}");
    assert_eq!(output.stderr, "");
}

#[tokio::test]
async fn of_the_help() {
    let output = ended(tokenlab(&["demo", "--help"]).stdout(closed())).await;
    assert_eq!(output.stderr, "", "{output}");
}

#[tokio::test]
async fn an_error_output_that_nobody_reads_is_no_failure() {
    let home = Home::new().await;
    let output = ended(home.tokenlab(&["demo"]).await.stderr(closed())).await;
    assert!(output.status.success(), "{output}");
    home.nothing_left().await;
}
