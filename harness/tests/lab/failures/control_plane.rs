//! A control plane of which one process fails, shown by stand-ins.

use tokenlab_harness::{ControlPlanePlan, RunFolder};

use crate::filters::assert_text;
use crate::home::Home;
use crate::owner::ended;
use crate::programs::{LISTENS, apiserver, stand_in, stand_ins};

const RUNS: &str = "exec sleep 1000";

#[tokio::test]
async fn etcd_that_exits_at_once_is_the_error() {
    let home = Home::new().await;
    let script = "echo 'etcdmain: disk on fire'; exit 7";
    let mut demo = home.tokenlab(&["demo"]).await;
    demo.env("TEST_ASSET_ETCD", stand_in(&home.file("etcd"), script));
    let output = ended(&mut demo).await;
    assert_eq!(output.status.code(), Some(1));
    assert_text!(output.stderr, @"
    ✗ starting etcd and kube-apiserver [version] ([time])
    tokenlab: the run folder is kept: [run folder]
    tokenlab: diagnostics, with tokens and keys redacted: [run folder]/diagnostics
    error: etcd ended early: exit status: 7
        etcdmain: disk on fire
      log: [run folder]/logs/etcd.log
      command: in `[run folder]/command-lines`
    ");
    home.only_evidence_left(&output.stderr).await;
}

#[tokio::test]
async fn kube_apiserver_that_exits_at_once_is_the_error() {
    let home = Home::new().await;
    let script = apiserver("echo 'Error: no such wonder'; exit 1");
    let mut demo = home.tokenlab(&["demo"]).await;
    demo.env(
        "TEST_ASSET_KUBE_APISERVER",
        stand_in(&home.file("kube-apiserver"), &script),
    );
    let output = ended(&mut demo).await;
    assert_eq!(output.status.code(), Some(1));
    assert_text!(output.stderr, @"
    ✗ starting etcd and kube-apiserver [version] ([time])
    tokenlab: the run folder is kept: [run folder]
    tokenlab: diagnostics, with tokens and keys redacted: [run folder]/diagnostics
    error: kube-apiserver ended early: exit status: 1
        Error: no such wonder
      log: [run folder]/logs/kube-apiserver.log
      command: in `[run folder]/command-lines`
    ");
    home.only_evidence_left(&output.stderr).await;
}

#[tokio::test]
async fn kube_apiserver_that_dies_while_it_starts_is_the_error() {
    let home = Home::new().await;
    let assets = stand_ins(&home.file(""), LISTENS, "sleep 0.5; exit 3").await;
    let folder = RunFolder::create_in(home.tmp()).expect("must be made");
    let plan = ControlPlanePlan::new(&assets, &folder).expect("must be planned");
    let error = plan.start().await.expect_err("must fail");
    assert_text!(error, @"
    kube-apiserver ended early: exit status: 3
        (the log is empty)
      log: [run folder]/logs/kube-apiserver.log
      command: in `[run folder]/command-lines`
    ");
    drop(folder);
    home.nothing_left().await;
}

#[tokio::test]
async fn etcd_that_dies_while_the_apiserver_starts_is_the_error() {
    let home = Home::new().await;
    let dies = "echo 'etcdmain: disk on fire'; : >etcd.sock:0; sleep 0.5; exit 7";
    let assets = stand_ins(&home.file(""), dies, RUNS).await;
    let folder = RunFolder::create_in(home.tmp()).expect("must be made");
    let plan = ControlPlanePlan::new(&assets, &folder).expect("must be planned");
    let error = plan.start().await.expect_err("must fail");
    assert_text!(error, @"
    etcd ended early: exit status: 7
        etcdmain: disk on fire
      log: [run folder]/logs/etcd.log
      command: in `[run folder]/command-lines`
    ");
    home.no_process().await;
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_nothing() {
    let home = Home::new().await;
    let assets = stand_ins(&home.file(""), LISTENS, RUNS).await;
    let folder = RunFolder::create_in(home.tmp()).expect("must be made");
    let plan = ControlPlanePlan::new(&assets, &folder).expect("must be planned");
    tokio::select! {
        started = plan.start() => panic!("nobody serves `/readyz`: {started:?}"),
        _ = home.works("sleep") => {}
    }
    drop(folder);
    home.nothing_left().await;
}
