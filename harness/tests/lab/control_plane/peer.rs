//! A second kube-apiserver on the same etcd.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use tokenlab_harness::{ControlPlanePlan, RunFolder, client};

use crate::home::Home;
use crate::programs::real;

#[tokio::test]
async fn has_the_same_data_and_ends_by_itself() {
    let home = Home::new().await;
    let folder = RunFolder::create_in(home.tmp()).expect("must be made");
    let mut plan = ControlPlanePlan::new(real().await, &folder).expect("must be planned");
    plan.flags().set("audit-log-path", "audit.log");
    let plane = plan.start().await.expect("must start");
    let peer = plane.peer().await.expect("must start");
    let lines = std::fs::read_to_string(folder.path().join("command-lines"));
    let lines = lines.expect("must be written");
    assert_eq!(lines.matches("--secure-port=").count(), 2, "{lines}");
    // Two that rotate one file lose what stands in it.
    assert_eq!(lines.matches("--audit-log-path=").count(), 1, "{lines}");
    let first = client(plane.admin()).await.expect("must be made");
    let admin = peer.asked_by(plane.admin().clone());
    assert_ne!(admin.server, plane.admin().server);
    let second = client(&admin).await.expect("must be made");

    let made = Namespace {
        metadata: kube::api::ObjectMeta {
            name: Some("made-at-the-first".to_owned()),
            ..Default::default()
        },
        ..Namespace::default()
    };
    let namespaces = kube::Api::<Namespace>::all(first.clone());
    let made = namespaces.create(&PostParams::default(), &made).await;
    made.expect("must be made");
    let namespaces = kube::Api::<Namespace>::all(second.clone());
    let found = namespaces.get("made-at-the-first").await;
    found.expect("must be there");

    peer.kill().await;
    let gone = second.apiserver_version().await;
    assert!(
        !matches!(gone, Ok(_) | Err(kube::Error::Api(_))),
        "{gone:?}"
    );
    first.apiserver_version().await.expect("must still run");
    drop(plane.peer().await.expect("must start again"));
    plane.kill().await;
    home.no_process().await;
}
