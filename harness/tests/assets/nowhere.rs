//! When nothing works: one error with every place and its remedy.

use tokenlab_harness::assets::Wanted;

use crate::server::{Server, index, platform};
use crate::stand_in::stand_in;
use crate::world::World;

fn text(error: &impl std::fmt::Display, world: &World, server: &Server) -> String {
    error
        .to_string()
        .replace(world.folder.as_str(), "[folder]")
        .replace(server.address.as_str(), "[server]/")
        .replace(&platform().to_string(), "[platform]")
}

#[tokio::test]
async fn every_place_is_listed_with_its_remedy() {
    let server = Server::start([]).await;
    server.set_index(index("1.36.3", platform(), "00", "x"));
    let mut world = World::with(&server);
    let all = ["etcd", "kube-apiserver", "kubectl"];
    World::programs(&world.folder.join("folder"), "1.36.4", &all);
    world.sources.folder = Some(world.folder.join("folder"));
    World::programs(
        &world.sources.store.join(format!("1.36.5-{}", platform())),
        "1.36.5",
        &all,
    );
    World::programs(
        &world.sources.store.join(format!("1.37.1-{}", platform())),
        "1.37.1",
        &["etcd"],
    );
    world.sources.go = world.folder.join("go");
    stand_in(
        &world.sources.go,
        r#"echo '{"Versions": ["v1.36.3", "v1.37.2"]}'"#,
    );

    let error = world.ensure("v1.37.1").await.expect_err("must fail");
    insta::assert_snapshot!(text(&error, &world, &server), @"
    no place has the programs of Kubernetes 1.37.1
      1. TEST_ASSET_*: not set
         -> set TEST_ASSET_ETCD, TEST_ASSET_KUBE_APISERVER and TEST_ASSET_KUBECTL to the programs
      2. KUBEBUILDER_ASSETS ([folder]/folder): has 1.36.4, passed over because 1.37.1 was asked for
         -> set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl
      3. store ([folder]/kubebuilder-envtest/k8s): has 1.36.5 for [platform]; `1.37.1-[platform]` is not whole (kubectl is not there, kube-apiserver is not there)
         -> copy the three programs of another machine to its folder `<version>-[platform]`
      4. download ([server]/index.yaml): the index has no 1.37.1, but 1.36.3
         -> ask for a version that it has, or set LAB_ENVTEST_INDEX to an index that has this one
      5. build ([folder]/go): the module proxy has no 1.37.1, but 1.36.3, 1.37.2
         -> ask for one of those, or set GOPROXY to a proxy that has it
    ");
    assert_eq!(error.hint(), None, "each place has its own");
}

#[tokio::test]
async fn a_machine_with_nothing_is_told_what_to_get() {
    let server = Server::start([]).await;
    server.index_answers(&[404]);
    let mut world = World::with(&server);
    world.sources.go = "a-go-that-nobody-has".into();
    let progress = tokenlab_harness::progress::Progress::hidden();
    let error = world
        .sources
        .ensure(&Wanted::Default, &progress)
        .await
        .expect_err("must fail");
    insta::assert_snapshot!(text(&error, &world, &server), @"
    no place has the programs of Kubernetes 1.37
      1. TEST_ASSET_*: not set
         -> set TEST_ASSET_ETCD, TEST_ASSET_KUBE_APISERVER and TEST_ASSET_KUBECTL to the programs
      2. KUBEBUILDER_ASSETS: not set
         -> set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl
      3. store ([folder]/kubebuilder-envtest/k8s): has nothing for [platform]
         -> copy the three programs of another machine to its folder `<version>-[platform]`
      4. download ([server]/index.yaml): `[server]/index.yaml` answered 404 Not Found
         -> set LAB_ENVTEST_INDEX to an index whose archives are there
      5. build (a-go-that-nobody-has): `a-go-that-nobody-has` is not on PATH
         -> install Go 1.26 or newer (https://go.dev/dl) and put it on PATH, or set LAB_GO to its path
    ");
}
