//! Images listed and removed: what is asked of Docker, and what is told.

use insta::assert_snapshot;
use serde_json::json;

use crate::world::World;

/// An engine with two node images, one of which has lost its name, and what is below them. It
/// notes what it was asked to remove.
const ENGINE: &str = r#"
row() { echo "{\"Repository\":\"$1\",\"Tag\":\"$2\",\"ID\":\"$3\",\"Size\":\"963MB\",\"CreatedSince\":\"2 hours ago\"}"; }
case $2 in
ls) case $4 in
    *=node-image) [ -e "$0.removed" ] || { row tokenlab/node v1.37.2 2c7261887527; row '<none>' '<none>' e875ab0e3cde; } ;;
    *=node-base) row tokenlab/node-base 761eee d5833e1cedc1 ;;
    esac ;;
rm) echo "$*" >>"$0.calls"; : >"$0.removed" ;;
prune) echo "$*" >>"$0.calls" ;;
esac"#;

fn calls(world: &World) -> String {
    std::fs::read_to_string(world.folder.join("bin/docker.calls")).unwrap_or_default()
}

#[tokio::test]
async fn are_listed() {
    let world = World::with_engine(ENGINE);
    assert_snapshot!(world.outcome(&["node-image", "list"]).await, @"
    exit code: 0
    ----- stdout -----
    NAME                         ID             SIZE     CREATED
    tokenlab/node:v1.37.2        2c7261887527   963MB    2 hours ago
    e875ab0e3cde                 e875ab0e3cde   963MB    2 hours ago
    ");
    let output = world.outcome(&["node-image", "list", "--json"]).await;
    let list: serde_json::Value = serde_json::from_str(&output.stdout).expect("must be JSON");
    assert_eq!(
        list[0],
        json!({
            "name": "tokenlab/node:v1.37.2",
            "id": "2c7261887527",
            "size": "963MB",
            "created": "2 hours ago",
        })
    );
}

#[tokio::test]
async fn are_removed_with_what_was_kept_to_make_them() {
    let world = World::with_engine(ENGINE);
    let output = world.outcome(&["node-image", "remove", "--all"]).await;
    assert_snapshot!(output, @"
    exit code: 0
    ----- stdout -----
    removed tokenlab/node:v1.37.2
    removed e875ab0e3cde
    ");
    assert_snapshot!(calls(&world), @"
    image rm tokenlab/node:v1.37.2
    image rm e875ab0e3cde
    image rm tokenlab/node-base:761eee
    image prune --force --filter label=tokenlab=node-image
    image prune --force --filter label=tokenlab=node-base
    ");
    let output = world
        .outcome(&["node-image", "remove", "--all", "--json"])
        .await;
    assert_eq!(output.stdout, "[]\n");
}

#[tokio::test]
async fn are_removed_one_by_one() {
    let world = World::with_engine(ENGINE);
    let output = world
        .outcome(&["node-image", "remove", "v1.37.2", "--json"])
        .await;
    assert_eq!(output.stdout, "[\n  \"tokenlab/node:v1.37.2\"\n]\n");
}

#[tokio::test]
async fn that_are_not_there_are_not_removed_nor_are_others() {
    let world = World::with_engine(ENGINE);
    let output = world
        .outcome(&["node-image", "remove", "v1.37.2", "v9.9.9"])
        .await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: there is no node image `tokenlab/node:v9.9.9`

    hint: `tokenlab node-image list` shows those that there are
    ");
    assert_eq!(calls(&world), "");
}

#[tokio::test]
async fn in_use_are_not_removed() {
    let engine = ENGINE.replace(
        "rm) ",
        "rm) echo 'Error response from daemon: conflict: unable to remove repository reference \"tokenlab/node:v1.37.2\" (must force) - container 01e80fc75c21 is using its referenced image 2c7261887527' >&2; exit 1 ;; x) ",
    );
    let world = World::with_engine(&engine);
    let output = world.outcome(&["node-image", "remove", "v1.37.2"]).await;
    assert_snapshot!(output, @r#"
    exit code: 1
    ----- stderr -----
    error: what is to be removed is in use: Error response from daemon: conflict: unable to remove repository reference "tokenlab/node:v1.37.2" (must force) - container 01e80fc75c21 is using its referenced image 2c7261887527

    hint: end what uses it first: `docker ps --all` shows containers, `kind delete cluster --name …` ends a cluster
    "#);
}

#[tokio::test]
async fn that_docker_tells_of_unreadably_are_an_error() {
    let world = World::with_engine("echo text");
    let output = world.outcome(&["node-image", "list"]).await;
    assert_snapshot!(output, @"
    exit code: 1
    ----- stderr -----
    error: `docker image ls --filter label=tokenlab=node-image --format '{{json .}}'` gave an unreadable answer: expected ident at line 1 column 2

    hint: `docker` must be Docker's own program: that of Podman answers otherwise
    ");
}
