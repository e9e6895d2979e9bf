//! One cluster, wired and unwired; one wired from the beginning.

use rstest::rstest;
use tokenlab_harness::{Cluster, ClusterError, Image, K3sError, Reach, Wire, Wired, fresh_token};

const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
const MOCK: &str = r#"User "mock" cannot list resource"#;
const NOBODY: &str = "You must be logged in";

/// The files that wiring touches: their names and what is in them.
async fn files(lab: &Cluster) -> String {
    const SHOW: &str = "cd /etc/rancher/k3s && for file in *; do
        [ $file = k3s.yaml ] || { echo \"$file:\"; cat $file; }; done";
    let files = lab.in_node(&["sh", "-c", SHOW]).await;
    files.expect("must be read")
}

async fn says(lab: &Cluster) -> String {
    // A fresh token each time: the apiserver remembers what it was told of one.
    let kubectl = lab.kubectl_as(&fresh_token()).expect("must be written");
    kubectl.run(["get", "ns"]).await.expect("must run").stderr
}

/// The webhook's image loaded and deployed.
async fn deploy(lab: &Cluster) {
    let image = Image::builder().build().await.expect("must be built");
    lab.load(&image).await.expect("must be loaded");
    let answer = lab.deploy().await.expect("must answer");
    assert!(answer.contains(r#""username":"mock""#), "{answer}");
}

#[rstest]
#[case::with_a_node(true)]
#[case::without_a_node(false)]
#[tokio::test]
async fn the_flag_is_set_kept_rolled_back_and_undone(#[case] agent: bool) {
    let _alone = super::alone().await;
    let plan = super::planned(
        "k3s::cluster::the_flag_is_set_kept_rolled_back_and_undone",
        |builder| builder.agent(agent).wire(Wire::Patch),
    );
    let Some(plan) = plan.await else { return };
    let lab = plan.run(async |lab| {
        set_keep_roll_back_and_undo(lab).await;
        Ok::<_, ClusterError>(())
    });
    lab.await.expect("must start");
}

async fn set_keep_roll_back_and_undo(lab: &Cluster) {
    deploy(lab).await;
    let before = files(lab).await;
    assert!(says(lab).await.contains(NOBODY));

    let wired = lab.wire().await.expect("must be wired");
    assert_eq!(wired, Wired::Changed);
    let said = says(lab).await;
    assert!(said.contains(MOCK), "{said}");
    let wired = lab.wire().await.expect("must be wired");
    assert_eq!(wired, Wired::Already);

    let with_flag = files(lab).await;
    let error = lab.wire_by("this is no kubeconfig").await;
    let error = error.expect_err("must fail");
    let ClusterError::K3s(K3sError::RolledBack { reason }) = &error else {
        panic!("must be rolled back: {error}");
    };
    assert!(reason.contains("k3s ended with status"), "{reason}");
    assert_eq!(files(lab).await, with_flag);
    let said = says(lab).await;
    assert!(said.contains(MOCK), "{said}");

    let error = lab.set_flags(&[("no-such-flag", Some("1"))]).await;
    let error = error.expect_err("must fail").to_string();
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
    assert_eq!(files(lab).await, with_flag);

    let set = lab.set_flags(&[("profiling", Some("false"))]).await;
    assert_eq!(set.expect("must be set"), Wired::Changed);
    lab.unwire().await.expect("must be unwired");
    let after = files(lab).await;
    let config = lab.in_node(&["cat", CONFIG]).await.expect("must be read");
    assert_eq!(config, "kube-apiserver-arg:\n- profiling=false\n");
    assert_eq!(after, format!("{before}config.yaml:\n{config}"));
    assert!(says(lab).await.contains(NOBODY));
}

/// An image that is loaded runs when it is deployed, and what ran runs until then.
async fn load_and_deploy_again(lab: &Cluster) {
    let image = Image::builder().build().await.expect("must be built");
    let webhooks = || {
        let name = format!("{}-webhook", lab.plan().name());
        let filter = format!("name={name}");
        super::left::lines(&["ps", "--format", "{{.Names}}", "--filter", &filter])
    };
    let first = webhooks();
    assert_eq!(first.len(), 1, "{first:?}");
    for _ in 0..2 {
        lab.load(&image).await.expect("must be loaded");
    }
    assert_eq!(webhooks(), first);
    let said = says(lab).await;
    assert!(said.contains(MOCK), "{said}");
    lab.deploy().await.expect("must answer");
    let second = webhooks();
    assert_eq!(second.len(), 1, "{second:?}");
    assert_ne!(second, first);
    let said = says(lab).await;
    assert!(said.contains(MOCK), "{said}");
    let images = format!("tokenlab.invalid/{}", lab.plan().name());
    let images = super::left::lines(&["image", "ls", "--format", "{{.Tag}}", &images]);
    assert_eq!(images.len(), 1, "{images:?}");
    let error = lab.deploy().await.expect_err("must be refused");
    assert!(
        matches!(error, ClusterError::K3s(K3sError::NotLoaded)),
        "{error}"
    );
}

#[rstest]
#[case::by_address(Reach::ClusterIp)]
#[case::by_name(Reach::Dns)]
#[tokio::test]
async fn it_is_wired_from_the_beginning(#[case] reach: Reach) {
    let _alone = super::alone().await;
    let plan = super::planned("k3s::cluster::it_is_wired_from_the_beginning", |builder| {
        builder.agent(false).wire(Wire::Create).reach(reach)
    });
    let Some(plan) = plan.await else { return };
    let lab = plan.run(async |lab| {
        // What is loaded twice is there once, and not gone with the first.
        let image = Image::builder().build().await.expect("must be built");
        lab.load(&image).await.expect("must be loaded");
        deploy(lab).await;
        let said = says(lab).await;
        assert!(said.contains(MOCK), "{said}");
        let wired = lab.wire().await.expect("must be wired");
        assert_eq!(wired, Wired::Already);
        if reach == Reach::ClusterIp {
            load_and_deploy_again(lab).await;
        }
        Ok::<_, ClusterError>(())
    });
    lab.await.expect("must start");
}
