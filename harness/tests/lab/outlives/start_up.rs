//! The owner is the program, and ends before its lab is ready.

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::home::Home;
use crate::owner::Running;

#[derive(Clone, Copy)]
enum Moment {
    FolderMade,
    EtcdStarts,
    ApiserverStarts,
}

#[rstest]
#[tokio::test]
async fn ended_at_any_moment_of_the_start(
    #[values(Moment::FolderMade, Moment::EtcdStarts, Moment::ApiserverStarts)] moment: Moment,
    #[values(Signal::SIGINT, Signal::SIGKILL)] signal: Signal,
) {
    let home = Home::new().await;
    let owner = Running::start(home.tokenlab(&["demo"]).await);
    match moment {
        Moment::FolderMade => home.folder_made().await,
        Moment::EtcdStarts => drop(home.works("etcd").await),
        Moment::ApiserverStarts => drop(home.works("kube-apiserver").await),
    }
    owner.signal(signal);
    let output = owner.ended().await;
    let code = (signal == Signal::SIGINT).then_some(130);
    assert_eq!(output.status.code(), code, "{output}");
    assert!(!output.stdout.contains("is ready"), "{output}");
    home.nothing_left().await;
}
