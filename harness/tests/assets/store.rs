//! The store: what counts as whole, and what fills it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tokenlab_harness::assets::{Source, State, Wanted};

use crate::server::{Server, platform};
use crate::world::World;

const ALL: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

#[tokio::test]
async fn the_newest_whole_patch_is_taken() {
    let world = World::new();
    for version in ["1.37.2", "1.37.10", "1.38.0", "1.37.11-rc.1"] {
        World::programs(
            &world
                .sources
                .store
                .join(format!("{version}-{}", platform())),
            version,
            &ALL,
        );
    }
    World::programs(
        &world.sources.store.join("1.37.12-plan9-mips"),
        "1.37.12",
        &ALL,
    );
    World::programs(
        &world.sources.store.join(format!("1.37.13-{}", platform())),
        "1.37.13",
        &["etcd", "kubectl"],
    );
    let assets = world
        .sources
        .find(&Wanted::Default)
        .await
        .expect("must work")
        .expect("must be there");
    assert_eq!(
        (assets.version.to_string().as_str(), assets.source),
        ("1.37.10", Source::Store)
    );
    let place = &world.sources.survey(&Wanted::Default, false).await[2];
    assert_eq!(place.state, State::Taken);
    let reason = place
        .reason
        .as_deref()
        .expect("must name what is not whole");
    assert!(
        reason.ends_with(&format!(
            "`1.37.13-{}` is not whole (kube-apiserver is not there)",
            platform()
        )),
        "{reason}"
    );
}

#[tokio::test]
async fn a_folder_that_lacks_something_is_filled_and_keeps_what_else_it_has() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let folder = world.sources.store.join(World::name());
    World::programs(&folder, "0.0.1", &["etcd", "kube-apiserver"]);
    fs::write(folder.join("kubelet"), "mine").expect("must write");
    // As `setup-envtest` leaves its folders.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("must be ours");
    assert_eq!(
        world
            .sources
            .find(&Wanted::Default)
            .await
            .expect("must work"),
        None
    );

    let assets = world.ensure("1.37").await.expect("must be there");
    assert_eq!(assets.source, Source::Download);
    assert_eq!(
        fs::read_to_string(folder.join("kubelet")).expect("must be there"),
        "mine"
    );
    for program in ALL {
        let path = folder.join(program);
        assert!(
            fs::read_to_string(&path)
                .expect("must be there")
                .contains("1.37.9"),
            "{program} is the old one"
        );
        assert_eq!(
            path.metadata().expect("must be there").permissions().mode() & 0o777,
            0o755
        );
    }
}

#[tokio::test]
async fn a_folder_never_holds_three_programs_of_two_makings() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let folder = world.sources.store.join(World::name());
    World::programs(&folder, "0.0.1", &["etcd", "kube-apiserver"]);
    // No file replaces a folder, so filling it ends half way.
    fs::create_dir_all(folder.join("kubectl/full")).expect("must make it");
    let place = world.failure(Source::Download).await;
    let reason = place.reason.expect("must have one");
    assert!(
        reason.starts_with(&format!("`{folder}/kubectl` cannot be written")),
        "{reason}"
    );
    let etcd = fs::read_to_string(folder.join("etcd")).expect("must be there");
    assert!(etcd.contains("1.37.9"), "{etcd:.80}");
    assert!(
        !folder.join("kube-apiserver").exists(),
        "the old one beside a new etcd"
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_named() {
    let server = Server::start([]).await;
    let mut world = World::with(&server);
    // A file where a folder should be stops root too, which a mode would not.
    fs::write(world.folder.join("file"), "").expect("must write");
    world.sources.store = world.folder.join("file/k8s");
    let place = world.failure(Source::Store).await;
    let reason = place.reason.expect("must have one");
    assert!(
        reason.starts_with(&format!("`{}", world.folder.join("file/k8s"))),
        "{reason}"
    );
    assert_eq!(
        place.hint.as_deref(),
        Some("set XDG_DATA_HOME to a folder that you may read and write")
    );
    assert_eq!(
        server.index_requests(),
        0,
        "nothing is asked for that has no place to go"
    );
}

#[tokio::test]
async fn leftovers_are_swept_and_not_taken() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let dead = world
        .sources
        .store
        .join(format!(".tokenlab/{}.tmp-dead/programs", World::name()));
    World::programs(&dead, "1.37.9", &ALL);
    let other = world.sources.store.join(".tokenlab/1.36.1-x-y.tmp-alive");
    World::programs(&other, "1.36.1", &["etcd"]);
    assert_eq!(
        world
            .sources
            .find(&Wanted::Default)
            .await
            .expect("must work"),
        None
    );
    world.ensure("1.37").await.expect("must be there");
    assert!(!dead.exists());
    assert!(other.exists(), "of another version, whose lock is not ours");
}
