//! Several that want the same, and owners that are killed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Child;

use tokenlab_harness::assets::Source;

use crate::server::{Answer, Server};
use crate::world::{World, until};

const ALL: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

#[tokio::test]
async fn two_tasks_download_once() {
    // The first one is not answered before the second one has asked for the index, too.
    let server = Server::start([Answer::AfterIndex(2)]).await;
    let world = World::with(&server);
    let (first, second) = tokio::join!(world.ensure("1.37"), world.ensure("1.37"));
    let mut sources = [first, second].map(|assets| assets.expect("must be there").source);
    sources.sort();
    assert_eq!(sources, [Source::Store, Source::Download]);
    assert_eq!(server.ranges(), [None]);
    world.assert_whole();
}

#[tokio::test]
async fn two_processes_download_once() {
    let server = Server::start([Answer::AfterIndex(2)]).await;
    let world = World::with(&server);
    let children: Vec<Child> = (0..2)
        .map(|_| world.command().spawn().expect("must start"))
        .collect();
    let ends = children
        .into_iter()
        .map(|child| tokio::task::spawn_blocking(|| child.wait_with_output()));
    for end in futures::future::join_all(ends).await {
        let output = end.expect("must not panic").expect("must end");
        let says = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{says}");
        assert!(
            String::from_utf8_lossy(&output.stdout).starts_with("Kubernetes 1.37.9 ("),
            "{says}"
        );
    }
    assert_eq!(server.ranges(), [None]);
    world.assert_whole();
}

#[tokio::test]
async fn who_waits_says_so_and_looks_again_afterwards() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let workshop = world.sources.store.join(".tokenlab");
    fs::create_dir_all(&workshop).expect("must make it");
    let mut lock =
        fs::File::create(workshop.join(format!("{}.lock", World::name()))).expect("must make it");
    lock.lock().expect("must be free");
    write!(lock, "4711").expect("must write");

    let mut waiting = world.command().spawn().expect("must start");
    let stderr = waiting.stderr.take().expect("must be piped");
    let says = "… waiting for another process that is fetching Kubernetes 1.37.9 (pid 4711)";
    let hear = move || {
        let mut lines = BufReader::new(stderr).lines();
        let said = lines.any(|line| line.expect("must be readable") == says);
        (said, lines)
    };
    let (said, _stderr) = tokio::task::spawn_blocking(hear)
        .await
        .expect("must not panic");
    assert!(said, "it ended without waiting");
    World::programs(&world.sources.store.join(World::name()), "1.37.9", &ALL);
    lock.unlock().expect("must be ours");
    let output = tokio::task::spawn_blocking(|| waiting.wait_with_output())
        .await
        .expect("must not panic");
    let output = output.expect("must end");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("Kubernetes 1.37.9 (store)"));
    assert_eq!(server.ranges(), []);
}

#[tokio::test]
async fn a_killed_download_is_not_taken_for_whole_and_is_resumed() {
    let server = Server::start([Answer::Stall(5000)]).await;
    let world = World::with(&server);
    let mut owner = world.command().spawn().expect("must start");
    let written = || {
        world
            .partial()
            .metadata()
            .map_or(0, |metadata| metadata.len())
    };
    until("the beginning to be written", || written() == 5000).await;
    owner.kill().expect("must be ours");
    owner.wait().expect("must end");
    assert_eq!(
        world
            .sources
            .find(&tokenlab_harness::assets::Wanted::Default)
            .await
            .expect("must work"),
        None
    );

    let output = tokio::task::spawn_blocking({
        let mut command = world.command();
        move || command.output()
    });
    let output = output.await.expect("must not panic").expect("must end");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    world.assert_whole();
    assert_eq!(server.ranges(), [None, Some("bytes=5000-".to_owned())]);
}
