//! `tokenlab assets`: what scripts and people see.

use std::process::{Command, Output};

use rstest::rstest;

use crate::server::{Answer, Server, platform};
use crate::world::{World, until};

const ALL: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// Runs `tokenlab assets …` on another thread, so that the server of the test goes on.
async fn run(world: &World, args: &[&str], change: impl FnOnce(&mut Command)) -> Output {
    let mut command = world.assets(args);
    change(&mut command);
    tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("must not panic")
        .expect("must start")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("must be UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("must be UTF-8")
}

#[tokio::test]
async fn path_prints_the_folder_and_nothing_else() {
    let world = World::new();
    let folder = world.sources.store.join(World::name());
    World::programs(&folder, "1.37.9", &ALL);
    let output = run(&world, &["path"], |_| {}).await;
    assert_eq!(
        (stdout(&output), stderr(&output)),
        (format!("{folder}\n"), String::new())
    );
    assert!(output.status.success());

    let json = run(&world, &["path", "--json"], |_| {}).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("must be JSON");
    assert_eq!(json["version"], "1.37.9");
    assert_eq!(json["source"], "store");
    assert_eq!(
        json["kube_apiserver"],
        folder.join("kube-apiserver").as_str()
    );
}

#[tokio::test]
async fn path_prints_three_paths_when_they_lie_apart() {
    let world = World::new();
    let (folder, other) = (
        world.sources.store.join(World::name()),
        world.folder.join("other"),
    );
    World::programs(&folder, "1.37.9", &ALL);
    World::programs(&other, "1", &["etcd"]);
    let output = run(&world, &["path"], |command| {
        command.env("TEST_ASSET_ETCD", other.join("etcd"));
    });
    let expected = format!("{other}/etcd\n{folder}/kube-apiserver\n{folder}/kubectl\n");
    assert_eq!(stdout(&output.await), expected);
}

#[tokio::test]
async fn path_without_programs_is_a_failure_with_a_hint() {
    let world = World::new();
    let output = run(&world, &["path", "--kubernetes", "v1.36.3"], |_| {}).await;
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(1), "")
    );
    insta::assert_snapshot!(stderr(&output), @"
    error: no place on this machine has the programs of Kubernetes 1.36.3

    hint: `tokenlab assets fetch` gets them, `tokenlab assets list` shows what there is
    ");
}

#[tokio::test]
async fn a_broken_setting_is_a_failure_with_a_hint() {
    let world = World::new();
    let output = run(&world, &["path"], |command| {
        command.env("KUBEBUILDER_ASSETS", "/nonexistent");
    });
    let output = output.await;
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&output), @"
    error: KUBEBUILDER_ASSETS: `/nonexistent` is not a folder

    hint: set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl, or unset it to have them found or fetched
    ");

    let output = run(&world, &["list"], |command| {
        command.env("LAB_ENVTEST_INDEX", "file:///etc/index.yaml");
    });
    let output = output.await;
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&output), @"
    error: LAB_ENVTEST_INDEX: `file:///etc/index.yaml` is not an http or https address

    hint: set LAB_ENVTEST_INDEX to an address such as https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml, or unset it
    ");
}

#[rstest]
#[case::word(&["path", "--kubernetes", "latest"])]
#[case::unknown_option(&["path", "--verison"])]
#[case::no_command(&[])]
#[tokio::test]
async fn usage_errors_are_2(#[case] args: &[&str]) {
    let output = run(&World::new(), args, |_| {}).await;
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(2), "")
    );
}

#[tokio::test]
async fn the_version_can_come_from_the_environment() {
    let world = World::new();
    World::programs(
        &world.sources.store.join(format!("1.36.1-{}", platform())),
        "1.36.1",
        &ALL,
    );
    let output = run(&world, &["path"], |command| {
        command.env("LAB_KUBERNETES", "v1.36.1");
    });
    assert!(output.await.status.success());
    assert_eq!(run(&world, &["path"], |_| {}).await.status.code(), Some(1));
}

#[tokio::test]
async fn relative_settings_become_absolute_paths() {
    let world = World::new();
    World::programs(&world.folder.join("here/bin"), "1.37.9", &ALL);
    let output = run(&world, &["path"], |command| {
        command
            .current_dir(&world.folder)
            .env("KUBEBUILDER_ASSETS", "here/bin");
    });
    assert_eq!(
        stdout(&output.await),
        format!("{}/here/bin\n", world.folder)
    );
}

#[tokio::test]
async fn list_shows_each_place_and_which_one_is_taken() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    World::programs(&world.sources.store.join(World::name()), "1.37.9", &ALL);
    let output = run(&world, &["list", "--remote"], |command| {
        command.env("KUBEBUILDER_ASSETS", "");
    });
    let output = output.await;
    assert!(output.status.success());
    let text = stdout(&output)
        .replace(world.folder.as_str(), "[folder]")
        .replace(server.address.as_str(), "[server]/")
        .replace(world.sources.store.as_str(), "[store]");
    insta::assert_snapshot!(text, @"
    SOURCE               STATE      VERSIONS         WHERE, WHY
    TEST_ASSET_*         not set    -
    KUBEBUILDER_ASSETS   not set    -
    store                taken      1.37.9           [folder]/kubebuilder-envtest/k8s
    download             usable     1.37.9           [server]/index.yaml
    build                failed     -                [folder]/no-go: `[folder]/no-go` is not a program
    ");
    let json = run(&world, &["list", "--json"], |_| {}).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("must be JSON");
    assert_eq!(json[2]["state"], "taken");
    assert_eq!(json[2]["versions"], serde_json::json!(["1.37.9"]));
    assert_eq!(json[3]["state"], "not-asked");
}

#[tokio::test]
async fn fetch_prints_what_it_took_and_tells_how_far_it_is() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let output = run(&world, &["fetch"], |_| {}).await;
    let folder = world.sources.store.join(World::name());
    assert_eq!(
        stdout(&output),
        format!("Kubernetes 1.37.9 (download)\n{folder}\n")
    );
    let said: Vec<_> = stderr(&output)
        .lines()
        .map(|line| line.split(" (").next().unwrap_or_default().to_owned())
        .collect();
    let expected = [
        "✓ asking the envtest index for the newest Kubernetes 1.37",
        "… downloading Kubernetes 1.37.9",
        "✓ downloading Kubernetes 1.37.9",
        "✓ unpacking Kubernetes 1.37.9",
    ];
    assert_eq!(said, expected);
    assert!(!stderr(&output).contains('\u{1b}'), "no colour in a pipe");
}

#[tokio::test]
async fn an_interrupted_fetch_says_so_by_its_code_and_leaves_only_what_can_be_resumed() {
    let server = Server::start([Answer::Stall(5000)]).await;
    let world = World::with(&server);
    let child = world.command().spawn().expect("must start");
    let written = || {
        world
            .partial()
            .metadata()
            .map_or(0, |metadata| metadata.len())
    };
    until("the beginning to be written", || written() == 5000).await;
    let pid = i32::try_from(child.id()).expect("must be a pid");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGINT,
    )
    .expect("must be ours");
    let output = tokio::task::spawn_blocking(|| child.wait_with_output())
        .await
        .expect("must not panic");
    let output = output.expect("must end");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("✗ downloading Kubernetes 1.37.9 ("));
    assert_eq!(
        world.files(),
        [format!("/.tokenlab/{}.tar.gz.partial", World::name())]
    );
}
