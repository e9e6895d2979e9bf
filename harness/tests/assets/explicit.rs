//! Programs that the environment names.

use std::fs;

use rstest::rstest;
use tokenlab_harness::assets::{AssetsError, Source, State, Wanted};
use tokenlab_harness::progress::Progress;

use crate::stand_in::stand_in;
use crate::world::World;

const ALL: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// What the error of a search says about the environment, with the test's folder left out.
async fn error(world: &World) -> (String, String) {
    let error = world
        .sources
        .find(&Wanted::Default)
        .await
        .expect_err("must fail");
    assert!(matches!(error, AssetsError::Explicit(_)), "{error:?}");
    let hint = error.hint().expect("must have one");
    let source = std::error::Error::source(&error)
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    (
        format!("{error}{source}").replace(world.folder.as_str(), "[folder]"),
        hint,
    )
}

#[tokio::test]
async fn three_named_programs_are_taken_whatever_their_version() {
    let mut world = World::new();
    let folder = world.folder.join("mine");
    World::programs(&folder, "1.20.4", &ALL);
    world.sources.etcd = Some(folder.join("etcd"));
    world.sources.kube_apiserver = Some(folder.join("kube-apiserver"));
    world.sources.kubectl = Some(folder.join("kubectl"));
    // Not looked at, since nothing is missing.
    world.sources.folder = Some(world.folder.join("absent"));
    let assets = world
        .sources
        .find(&Wanted::Default)
        .await
        .expect("must work")
        .expect("must be there");
    assert_eq!(
        (assets.version.to_string().as_str(), assets.source),
        ("1.20.4", Source::Environment)
    );
}

#[tokio::test]
async fn one_named_program_replaces_that_of_the_next_source() {
    let mut world = World::new();
    let (mine, folder) = (world.folder.join("mine"), world.folder.join("folder"));
    World::programs(&mine, "1.0.0", &["etcd"]);
    World::programs(&folder, "1.36.4", &["kube-apiserver", "kubectl"]);
    world.sources.etcd = Some(mine.join("etcd"));
    world.sources.folder = Some(folder.clone());
    let assets = world
        .sources
        .find(&Wanted::Default)
        .await
        .expect("must work")
        .expect("must be there");
    assert_eq!(assets.etcd, mine.join("etcd"));
    assert_eq!(assets.kubectl, folder.join("kubectl"));
    assert_eq!(
        (assets.version.to_string().as_str(), assets.source),
        ("1.36.4", Source::KubebuilderAssets)
    );
    assert_eq!(assets.folder(), None);
}

#[rstest]
#[case::series("1.37")]
#[case::exact("1.37.9")]
#[tokio::test]
async fn another_version_than_the_one_asked_for_is_passed_over(#[case] wanted: &str) {
    let mut world = World::new();
    let (folder, whole) = (
        world.folder.join("folder"),
        world.sources.store.join(World::name()),
    );
    World::programs(&folder, "1.36.4", &ALL);
    World::programs(&whole, "1.37.9", &ALL);
    world.sources.folder = Some(folder.clone());
    world.sources.kube_apiserver = Some(folder.join("kube-apiserver"));
    let assets = world.ensure(wanted).await.expect("must be there");
    assert_eq!(
        (assets.source, assets.folder()),
        (Source::Store, Some(whole.as_path()))
    );

    let wanted: Wanted = wanted.parse().expect("must be a version");
    let places = world.sources.survey(&wanted, false).await;
    let says = format!("has 1.36.4, passed over because {wanted} was asked for");
    for place in &places[..2] {
        assert_eq!(
            (place.state, place.reason.as_deref()),
            (State::Lacks, Some(says.as_str()))
        );
    }
    assert_eq!(places[2].state, State::Taken);
}

#[tokio::test]
async fn a_named_program_must_be_there_and_executable() {
    let mut world = World::new();
    let path = world.folder.join("etcd");
    world.sources.etcd = Some(path.clone());
    assert_eq!(
        error(&world).await.0,
        "TEST_ASSET_ETCD: `[folder]/etcd` is not there"
    );
    fs::write(&path, "").expect("must write");
    let (says, hint) = error(&world).await;
    assert_eq!(says, "TEST_ASSET_ETCD: `[folder]/etcd` is not executable");
    assert_eq!(
        hint,
        "set TEST_ASSET_ETCD to an executable file, or unset it to have the program found or fetched"
    );
    fs::remove_file(&path).expect("must be ours");
    fs::create_dir(&path).expect("must make it");
    assert_eq!(
        error(&world).await.0,
        "TEST_ASSET_ETCD: `[folder]/etcd` is not a file"
    );
}

#[tokio::test]
async fn the_folder_must_hold_all_three() {
    let mut world = World::new();
    let folder = world.folder.join("folder");
    world.sources.folder = Some(folder.clone());
    assert_eq!(
        error(&world).await.0,
        "KUBEBUILDER_ASSETS: `[folder]/folder` is not a folder"
    );
    World::programs(&folder, "1.37.9", &["etcd", "kube-apiserver"]);
    let (says, hint) = error(&world).await;
    assert_eq!(
        says,
        "KUBEBUILDER_ASSETS: in `[folder]/folder` kubectl is not there"
    );
    assert!(
        hint.starts_with(
            "set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl"
        ),
        "{hint}"
    );
}

#[rstest]
#[case::fails("echo broken >&2; exit 3", "` ended with exit status: 3: broken")]
#[case::babbles(
    "echo v1.37",
    "` answered `v1.37` instead of a line such as `Kubernetes v1.37.2`"
)]
#[case::hangs("exec sleep 600", "` gave no answer within 200ms")]
#[tokio::test]
async fn a_kube_apiserver_must_tell_its_version(#[case] body: &str, #[case] says: &str) {
    let mut world = World::new();
    let folder = world.folder.join("folder");
    World::programs(&folder, "1.37.9", &ALL);
    stand_in(&folder.join("kube-apiserver"), body);
    world.sources.folder = Some(folder);
    world.sources.patience.version =
        std::time::Duration::from_millis(if body.contains("sleep") { 200 } else { 10_000 });
    let (text, _) = error(&world).await;
    let start = "KUBEBUILDER_ASSETS: the version of kube-apiserver is unknown: \
                 `[folder]/folder/kube-apiserver --version";
    assert_eq!(text, format!("{start}{says}"));
}

#[tokio::test]
async fn a_broken_setting_ends_the_search_even_where_another_source_would_do() {
    let mut world = World::new();
    World::programs(&world.sources.store.join(World::name()), "1.37.9", &ALL);
    world.sources.kubectl = Some(world.folder.join("absent"));
    let error = world
        .sources
        .ensure(&Wanted::Default, &Progress::hidden())
        .await
        .expect_err("must fail");
    assert!(
        error.to_string().starts_with("TEST_ASSET_KUBECTL: "),
        "{error}"
    );
    let places = world.sources.survey(&Wanted::Default, false).await;
    let states: Vec<_> = places.iter().map(|place| place.state).collect();
    assert_eq!(
        states,
        [
            State::Failed,
            State::Unset,
            State::Usable,
            State::NotAsked,
            State::Failed
        ]
    );
}
