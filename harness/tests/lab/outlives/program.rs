//! The owner is the program, and holds a lab.

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::home::Home;
use crate::owner::{Running, appears};
use crate::programs::stand_in;

/// A program that holds a lab, with all that belongs to it running.
async fn holding(home: &Home) -> Running {
    let mut owner = Running::start(home.tokenlab(&["demo", "--hold"]).await);
    owner.says("The lab runs until Ctrl-C.").await;
    home.has_a_lab();
    owner
}

#[rstest]
#[case::interrupt(Signal::SIGINT, Some(130))]
#[case::terminate(Signal::SIGTERM, Some(143))]
#[case::hangup(Signal::SIGHUP, Some(129))]
#[case::one_that_it_does_not_handle(Signal::SIGUSR1, None)]
#[case::kill(Signal::SIGKILL, None)]
#[tokio::test]
async fn ended_by_a_signal(#[case] signal: Signal, #[case] code: Option<i32>) {
    let home = Home::new().await;
    let owner = holding(&home).await;
    owner.signal(signal);
    let output = owner.ended().await;
    assert_eq!(output.status.code(), code, "{output}");
    assert!(!output.stderr.contains("error"), "{output}");
    home.nothing_left().await;
}

/// By the time of the second signal the first has begun to end the lab.
#[tokio::test]
async fn interrupted_twice() {
    let home = Home::new().await;
    let owner = holding(&home).await;
    owner.signal(Signal::SIGINT);
    owner.signal(Signal::SIGINT);
    let output = owner.ended().await;
    assert_eq!(output.status.code(), Some(130), "{output}");
    home.nothing_left().await;
}

/// A kubectl that writes to its home folder without end: in the run folder that is to go.
#[rstest]
#[case::interrupt(Signal::SIGINT)]
#[case::kill(Signal::SIGKILL)]
#[tokio::test]
async fn ended_while_kubectl_writes(#[case] signal: Signal) {
    let home = Home::new().await;
    let script = "while :; do mkdir -p \"$HOME/.kube/cache\"; touch \"$HOME/.kube/cache/x\"; done";
    let mut demo = home.tokenlab(&["demo"]).await;
    demo.env(
        "TEST_ASSET_KUBECTL",
        stand_in(&home.file("kubectl"), script),
    );
    let mut owner = Running::start(demo);
    owner.says("a kubeconfig with the user webhook-test").await;
    let folder = home.has_a_lab();
    let kubeconfig = std::fs::read_dir(&folder)
        .expect("must be readable")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("token-") && name.ends_with(".kubeconfig"));
    let kubeconfig = folder.join(kubeconfig.expect("must be written"));
    appears(&kubeconfig.with_extension("home").join(".kube/cache/x")).await;
    owner.signal(signal);
    owner.ended().await;
    home.nothing_left().await;
}

/// Held, it would otherwise wait for ever for a control plane that is gone.
#[tokio::test]
async fn whose_kube_apiserver_dies() {
    let home = Home::new().await;
    let owner = holding(&home).await;
    let pid = home.works("kube-apiserver").await.pid;
    let pid = pid.try_into().expect("must be a process number");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).expect("must be sent");
    let output = owner.ended().await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    let error = "error: kube-apiserver ended early: signal: 9 (SIGKILL)\n    ";
    assert!(output.stderr.contains(error), "{output}");
    home.only_evidence_left(&output.stderr).await;
}
