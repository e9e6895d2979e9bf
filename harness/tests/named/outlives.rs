//! The supervisor ends, in each way that it can: nothing is left.

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::home::Home;
use crate::owner::Running;
use crate::support::{done, never_up, nothing_left, signal, stands, up};

#[rstest]
#[case::interrupt(Signal::SIGINT)]
#[case::terminate(Signal::SIGTERM)]
#[case::hangup(Signal::SIGHUP)]
#[case::one_that_it_does_not_handle(Signal::SIGUSR1)]
#[case::kill(Signal::SIGKILL)]
#[tokio::test]
async fn by_a_signal(#[case] how: Signal) {
    let home = Home::new().await;
    let lab = up(&home, "default").await;
    home.has_a_lab();
    signal(lab.pid, how);
    nothing_left(&home).await;
}

/// The name is not free before all is gone; then it is.
#[tokio::test]
async fn killed_and_started_anew_at_once() {
    let home = Home::new().await;
    let lab = up(&home, "again").await;
    signal(lab.pid, Signal::SIGKILL);
    let second = up(&home, "again").await;
    assert_ne!(second.folder, lab.folder);
    assert!(!lab.folder.exists(), "the first one's folder must be gone");
    assert!(second.folder.exists(), "the second one's must be there");
    stands(&home, "again", "running").await;
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// Who waits for the lab goes.
#[rstest]
#[case::interrupt(Signal::SIGINT, Some(130))]
#[case::terminate(Signal::SIGTERM, Some(143))]
#[case::kill(Signal::SIGKILL, None)]
#[tokio::test]
async fn while_it_starts(#[case] how: Signal, #[case] code: Option<i32>) {
    let home = Home::new().await;
    let owner = Running::start(never_up(&home, "default").await);
    home.works("kube-apiserver").await;
    owner.signal(how);
    let output = owner.ended().await;
    assert_eq!(output.status.code(), code, "{output}");
    nothing_left(&home).await;
}
