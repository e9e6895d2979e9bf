//! The owner is a test process.

use nix::sys::signal::Signal;
use rstest::rstest;
use tokenlab_harness::{KEEP, Lab, LabError, Output, SharedConfig, SharedLab};

use crate::home::Home;
use crate::owner::{Running, appears, ended, owner, report};

/// As `cargo test` would run this owner.
async fn outcome(home: &Home, test: &str) -> Output {
    let output = ended(&mut owner(home, &name(test)).await).await;
    appears(&home.file("report")).await;
    output
}

fn name(test: &str) -> String {
    format!("outlives::test_process::{test}")
}

#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_that_passes() {
    let Some(report) = report() else { return };
    let lab = SharedLab::get(SharedConfig::default()).await;
    report.write(lab.folder().path().as_str());
}

#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_that_panics() {
    let Some(report) = report() else { return };
    let lab = SharedLab::get(SharedConfig::default()).await;
    report.write(lab.folder().path().as_str());
    panic!("the owner's own failure");
}

#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_that_panics_in_its_scope() {
    let Some(report) = report() else { return };
    let scope = async |lab: &mut Lab| -> Result<(), LabError> {
        report.write(lab.folder().path().as_str());
        panic!("the owner's own failure");
    };
    Lab::builder()
        .run(scope)
        .await
        .expect("must be reached by no one");
}

#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_that_returns_an_error() -> anyhow::Result<()> {
    let Some(report) = report() else {
        return Ok(());
    };
    let scope = async |lab: &mut Lab| {
        report.write(lab.folder().path().as_str());
        anyhow::bail!("the owner's own failure")
    };
    Lab::builder().run(scope).await
}

/// Dropped by `?`, the lab was never stopped.
#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_that_returns_early() -> anyhow::Result<()> {
    let Some(report) = report() else {
        return Ok(());
    };
    let lab = Lab::builder().start().await?;
    report.write(lab.folder().path().as_str());
    anyhow::bail!("the owner's own failure")
}

#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_that_returns_an_error_of_a_shared_lab() -> anyhow::Result<()> {
    let Some(report) = report() else {
        return Ok(());
    };
    let scope = async |lab: &SharedLab| {
        report.write(lab.folder().path().as_str());
        anyhow::bail!("the owner's own failure")
    };
    SharedLab::get(SharedConfig::default())
        .await
        .run(scope)
        .await
}

#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_that_waits() {
    let Some(report) = report() else { return };
    let lab = SharedLab::get(SharedConfig::default()).await;
    report.write(lab.folder().path().as_str());
    std::future::pending::<()>().await;
}

/// libtest ends the process without dropping what is shared.
#[tokio::test]
async fn one_that_passes() {
    let home = Home::new().await;
    let output = outcome(&home, "owner_that_passes").await;
    assert!(output.status.success(), "{output}");
    home.nothing_left().await;
}

#[tokio::test]
async fn one_that_passes_and_was_told_to_keep() {
    let home = Home::new().await;
    let mut owner = owner(&home, &name("owner_that_passes")).await;
    let output = ended(owner.env(KEEP, "1")).await;
    assert!(output.status.success(), "{output}");
    home.only_the_folder_left(&output.stderr).await;
}

#[tokio::test]
async fn one_that_panics() {
    let home = Home::new().await;
    let output = outcome(&home, "owner_that_panics").await;
    assert_eq!(output.status.code(), Some(101), "{output}");
    home.only_evidence_left(&output.stderr).await;
}

#[tokio::test]
async fn one_that_panics_in_its_scope() {
    let home = Home::new().await;
    let output = outcome(&home, "owner_that_panics_in_its_scope").await;
    assert_eq!(output.status.code(), Some(101), "{output}");
    assert!(
        output.stdout.contains("the owner's own failure"),
        "{output}"
    );
    home.only_evidence_left(&output.stderr).await;
}

#[rstest]
#[case::in_its_scope("owner_that_returns_an_error")]
#[case::without_a_scope("owner_that_returns_early")]
#[case::of_a_shared_lab("owner_that_returns_an_error_of_a_shared_lab")]
#[tokio::test]
async fn one_that_returns_an_error(#[case] owner: &str) {
    let home = Home::new().await;
    let output = outcome(&home, owner).await;
    assert_eq!(output.status.code(), Some(101), "{output}");
    home.only_evidence_left(&output.stderr).await;
}

/// SIGINT and SIGHUP do what SIGTERM does, but a shell or `nohup` may have had them ignored.
#[rstest]
#[case::kill(Signal::SIGKILL)]
#[case::terminate(Signal::SIGTERM)]
#[tokio::test]
async fn one_that_is_ended_by(#[case] signal: Signal) {
    let home = Home::new().await;
    let owner = Running::start(owner(&home, &name("owner_that_waits")).await);
    appears(&home.file("report")).await;
    home.has_a_lab();
    owner.signal(signal);
    owner.ended().await;
    home.nothing_left().await;
}
