//! What is missing is told with its remedy, and nothing is started.

use insta::assert_snapshot;

use crate::skipped::skip;
use crate::world::{World, all_but_go, is_root, outcome};

/// Whoever needs Docker says the same.
#[tokio::test]
async fn docker() {
    let world = World::new();
    for args in [
        &["node-image", "build"][..],
        &["node-image", "list"],
        &["node-image", "remove", "--all"],
        &["demo", "--backend", "kind"],
    ] {
        let output = world.outcome(args).await;
        insta::allow_duplicates! {
            assert_snapshot!(output, @"
            exit code: 1
            ----- stderr -----
            error: `docker` is not on PATH

            hint: install Docker Engine (https://docs.docker.com/engine/install), or use `--backend bare`, which needs no container
            ");
        }
    }
    assert!(left(&world).is_empty());
}

/// What lies in the folder for temporary files.
fn left(world: &World) -> Vec<String> {
    let entries = world.folder.join("tmp").read_dir_utf8();
    let entries = entries.expect("must be read").map(|entry| {
        let entry = entry.expect("must be read");
        entry.file_name().to_owned()
    });
    entries.collect()
}

/// What `tokenlab demo --backend kind` says with a docker that says this.
async fn refusal(said: &str) -> String {
    let world = World::with_docker(&format!("cat >&2 <<'EOT'\n{said}\nEOT\nexit 1"));
    let output = world.outcome(&["demo", "--backend", "kind"]).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    assert!(left(&world).is_empty());
    output.stderr
}

#[tokio::test]
async fn an_engine() {
    let said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    assert_snapshot!(refusal(said).await, @"
    error: no Docker engine answers: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?

    hint: start the engine (`systemctl start docker`, or `dockerd` as root), or set DOCKER_HOST to where it listens
    ");
}

#[tokio::test]
async fn a_context() {
    let said = "Failed to initialize: unable to resolve docker endpoint: context \"nowhere\": context not found: open meta.json: no such file or directory";
    assert_snapshot!(refusal(said).await, @r#"
    error: no Docker engine answers: Failed to initialize: unable to resolve docker endpoint: context "nowhere": context not found: open meta.json: no such file or directory

    hint: name a context that there is (`docker context ls`), or unset DOCKER_CONTEXT
    "#);
}

#[tokio::test]
async fn the_right_to_talk_to_it() {
    let said = "WARNING: Error loading config file: open /home/me/.docker/config.json: permission denied\n\
        permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version\": dial unix /var/run/docker.sock: connect: permission denied";
    assert_snapshot!(refusal(said).await, @r#"
    error: the Docker engine refuses this user: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version": dial unix /var/run/docker.sock: connect: permission denied

    hint: add yourself to the group `docker` and log in anew, or run this as root
    "#);
}

#[tokio::test]
async fn a_common_version() {
    let said = "Error response from daemon: client version 1.52 is too new. Maximum supported API version is 1.41";
    assert_snapshot!(refusal(said).await, @"
    error: `docker` and its engine have no version of the API in common: Error response from daemon: client version 1.52 is too new. Maximum supported API version is 1.41

    hint: update the older of the two (`docker version` shows both); where DOCKER_API_VERSION is set, unset it
    ");
}

#[tokio::test]
async fn a_new_version() {
    let world = World::with_docker(r#"echo '{"ApiVersion":"1.40"}'"#);
    let output = world.outcome(&["demo", "--backend", "kind"]).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: the Docker engine speaks API 1.40, and kind needs 1.41

    hint: install Docker Engine 20.10 or newer
    ");
}

/// Podman has a `docker` too.
#[tokio::test]
async fn dockers_own_program() {
    let world = World::with_docker(r#"echo '{"APIVersion":"5.4.0","Version":"5.4.0"}'"#);
    let output = world.outcome(&["demo", "--backend", "kind"]).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: `docker version --format '{{json .Server}}'` gave an unreadable answer: missing field `ApiVersion` at line 1 column 40

    hint: `docker` must be Docker's own program: that of Podman answers otherwise
    ");
}

#[tokio::test]
async fn space_while_it_works() {
    let world = World::with_engine(
        "echo 'Error response from daemon: mkdir /var/lib/docker/tmp/x: no space left on device' >&2; exit 1",
    );
    let output = world.outcome(&["node-image", "list"]).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: the Docker engine has no space left: Error response from daemon: mkdir /var/lib/docker/tmp/x: no space left on device

    hint: free some space: `docker system df` shows what takes it, `docker system prune` removes what nobody uses
    ");
}

#[tokio::test]
async fn root() {
    let world = World::with_engine("exit 9");
    if !world.lets_nobody_in() {
        return skip("node_image::lacking::root", "nobody may not enter TMPDIR");
    }
    let world = world.of_nobody();
    let output = world.outcome(&["node-image", "build"]).await;
    assert_snapshot!(output, @r#"
    exit code: 1
    ----- stderr -----
    error: only root can make a node image: debootstrap unpacks a whole Debian

    hint: run it as root once (`sudo env "PATH=$PATH" tokenlab node-image build`), into its own store; using the image needs no root
    "#);
}

#[tokio::test]
async fn what_makes_debian() {
    if !is_root("node_image::lacking::what_makes_debian") {
        return;
    }
    let world = World::with_engine("exit 9");
    let output = world.outcome(&["node-image", "build"]).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: `debootstrap` is not on PATH

    hint: install debootstrap (`apt-get install debootstrap`); it is in Fedora, Arch and Alpine too
    ");
    world.script("debootstrap", "exit 9");
    world.script("unshare", "exit 9");
    world.script("tar", "exit 9");
    let output = world.outcome(&["node-image", "build"]).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: this machine's apt names no mirror of Debian

    hint: set LAB_DEBIAN_MIRROR to the address of a mirror that has Debian bookworm, or run `apt-get update` where apt is set up for one
    ");
}

#[tokio::test]
async fn go() {
    if !is_root("node_image::lacking::go") {
        return;
    }
    let world = all_but_go("/nowhere");
    let output = world.outcome(&["node-image", "build"]).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: `go` is not on PATH

    hint: install Go 1.26 or newer (https://go.dev/dl) and put it on PATH, or set LAB_GO to its path
    ");
}

/// `/proc` has no room for anything.
#[tokio::test]
async fn space_before_it_begins() {
    if !is_root("node_image::lacking::space_before_it_begins") {
        return;
    }
    let world = all_but_go("/proc");
    world.script("go", "exit 9");
    let mut command = world.tokenlab(&["node-image", "build"]);
    command.env("KUBEBUILDER_ASSETS", world.folder.join("bin"));
    let output = outcome(&mut command, &world).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: the Docker engine has 0.0 GB left in `/proc`, and 2.5 GB are needed

    hint: free some space: `docker system df` shows what takes it, `docker system prune` removes what nobody uses
    ");
}
