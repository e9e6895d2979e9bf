//! Builds, with a stand-in for `go`.

use std::fs;

use tokenlab_harness::assets::{Source, Wanted};
use tokenlab_harness::progress::Progress;

use crate::stand_in::stand_in;
use crate::world::{World, alive, until};

/// A `go` that does as told when it shall build.
fn go(world: &mut World, build: &str) {
    let path = world.folder.join("go");
    stand_in(
        &path,
        &format!(
            r#"
case "$*" in
"list -m"*) echo '{{"Versions": ["v1.36.8", "v1.37.9", "v1.37.10-rc.0"]}}' ;;
"mod download"*) echo '{{"GoMod": "its.mod"}}' ;;
"mod edit"*) echo '{{"Go": "1.26.0"}}' ;;
"list -deps"*) printf 'a true\nb true a\n' ;;
build*)
    while [ "$1" != -o ]; do shift; done
    {build} ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac"#
        ),
    );
    world.sources.go = path;
}

const GOOD: &str = r#"
    echo a >&2
    echo b >&2
    case "$2" in
    */) for program in kube-apiserver kubectl; do
            printf '#!/bin/sh\necho Kubernetes v1.37.9\n' >"$2$program"
            chmod +x "$2$program"
        done ;;
    *) echo >"$2" ;;
    esac"#;

#[tokio::test]
async fn what_cannot_be_downloaded_is_built() {
    let mut world = World::new();
    go(&mut world, GOOD);
    let assets = world.ensure("1.37").await.expect("must be there");
    assert_eq!(
        (assets.version.to_string().as_str(), assets.source),
        ("1.37.9", Source::Build)
    );
    let log = format!("/.tokenlab/{}.build.log", World::name());
    let mut files = world.files();
    files.retain(|file| *file != log);
    assert_eq!(files.len(), 3, "{files:?}");
    let log = fs::read_to_string(world.sources.store.join(&log[1..])).expect("must be kept");
    assert!(
        log.contains("-X k8s.io/component-base/version.gitVersion=v1.37.9"),
        "{log}"
    );
    assert!(log.contains("\na\nb\n"), "{log}");
}

#[tokio::test]
async fn go_and_the_store_may_be_named_by_relative_paths() {
    let mut world = World::new();
    go(&mut world, GOOD);
    let mut command = world.command();
    command
        .current_dir(&world.folder)
        .env("LAB_GO", "./go")
        .env("XDG_DATA_HOME", "data");
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("must not panic");
    let output = output.expect("must start");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.starts_with(&format!("Kubernetes 1.37.9 (build)\n{}/", world.folder)),
        "{stdout}"
    );
}

#[tokio::test]
async fn a_build_that_fails_shows_its_command_and_its_last_lines() {
    let mut world = World::new();
    go(
        &mut world,
        "for line in 1 2 3 4 5 6 7 8 9 10 11; do echo line $line; done >&2; echo no space left on device >&2; exit 7",
    );
    let place = world.failure(Source::Build).await;
    let reason = place
        .reason
        .expect("must have one")
        .replace(world.folder.as_str(), "[folder]");
    let (command, rest) = reason
        .split_once("` ended with ")
        .expect("must show the command");
    assert!(command.starts_with("`[folder]/go build -v "), "{command}");
    assert!(command.ends_with(" go.etcd.io/etcd/server/v3"), "{command}");
    assert!(
        rest.starts_with("exit status: 7; its last lines:\n  line 1\n"),
        "{rest}"
    );
    assert!(
        rest.contains("\n  no space left on device\nall of it: [folder]/"),
        "{rest}"
    );
    assert!(
        place
            .hint
            .expect("must have one")
            .starts_with("free some space")
    );
    assert_eq!(
        world.files(),
        [format!("/.tokenlab/{}.build.log", World::name())],
        "the log only"
    );
}

#[tokio::test]
async fn a_go_that_is_too_old_is_told_so() {
    let mut world = World::new();
    go(
        &mut world,
        "echo 'go: k8s.io/kubernetes@v1.37.9 requires go >= 1.26.0 (running go 1.21)' >&2; exit 1",
    );
    let hint = world
        .failure(Source::Build)
        .await
        .hint
        .expect("must have one");
    assert!(hint.starts_with("install the newer Go"), "{hint}");
}

#[tokio::test]
async fn a_missing_go_is_told_so() {
    let mut world = World::new();
    world.sources.go = "a-go-that-nobody-has".into();
    let place = world.failure(Source::Build).await;
    assert_eq!(
        place.reason.as_deref(),
        Some("`a-go-that-nobody-has` is not on PATH")
    );
    assert!(
        place
            .hint
            .expect("must have one")
            .starts_with("install Go 1.26 or newer")
    );
}

#[tokio::test]
async fn a_proxy_without_the_version_is_told_so() {
    let mut world = World::new();
    go(&mut world, GOOD);
    let error = world.ensure("1.35").await.expect_err("must fail");
    assert!(
        error
            .to_string()
            .contains("the module proxy has no 1.35, but 1.36.8, 1.37.9, 1.37.10-rc.0"),
        "{error}"
    );
}

#[tokio::test]
async fn a_build_that_is_given_up_leaves_no_process_and_no_file() {
    let mut world = World::new();
    let pids = world.folder.join("pids");
    go(
        &mut world,
        &format!("sleep 600 & echo $$ $! >{pids}.new; mv {pids}.new {pids}; wait"),
    );
    let progress = Progress::hidden();
    let build = world.sources.ensure(&Wanted::Default, &progress);
    tokio::select! {
        result = build => panic!("must hang: {result:?}"),
        () = until("the build to begin", || pids.exists()) => {}
    }
    let pids = fs::read_to_string(pids).expect("must be there");
    for pid in pids.split_whitespace() {
        until("the build to end", || !alive(pid)).await;
    }
    assert_eq!(
        world.files(),
        [format!("/.tokenlab/{}.build.log", World::name())]
    );
}

#[tokio::test]
async fn a_build_whose_owner_is_killed_ends_too() {
    let mut world = World::new();
    let pids = world.folder.join("pids");
    go(
        &mut world,
        &format!("sleep 600 & echo $$ $! >{pids}.new; mv {pids}.new {pids}; wait"),
    );
    let mut owner = world.command().spawn().expect("must start");
    until("the build to begin", || pids.exists()).await;
    owner.kill().expect("must be ours");
    owner.wait().expect("must end");
    let pids = fs::read_to_string(pids).expect("must be there");
    for pid in pids.split_whitespace() {
        until("the build to end", || !alive(pid)).await;
    }
    // And its lock is free, and what it left is no obstacle.
    go(&mut world, GOOD);
    world.ensure("1.37").await.expect("must be there");
}
