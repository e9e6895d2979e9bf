//! A named lab on a real cluster, where `LAB_BACKEND=kind` allows containers.

mod existing;

use std::convert::Infallible;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokenlab_harness::named::Status;
use tokenlab_harness::{Output, Poll, Probe, until};
use tokio::process::Command;

use crate::home::Home;
use crate::skipped::skip;
use crate::support::{alone, entries, signal};

/// A cluster takes half a minute, and its guardian some seconds.
const LATER: Poll = Poll {
    every: Duration::from_millis(200),
    within: Duration::from_secs(180),
};

async fn tokenlab(home: &Home, args: &[&str]) -> Output {
    let output = home.tokenlab(args).await.output().await;
    Output::from(output.expect("must run"))
}

async fn up(home: &Home) -> Status {
    let args = [
        "up",
        "real",
        "--backend",
        "kind",
        "--wire",
        "create",
        "--json",
    ];
    let output = tokenlab(home, &args).await;
    assert_eq!(output.status.code(), Some(0), "{output}");
    serde_json::from_str(&output.stdout).expect("must be a status")
}

/// What is left of a lab: in the engine, in `TMPDIR`, and as a name.
async fn left(home: &Home, cluster: &str) -> Vec<String> {
    let mut left = entries(home);
    left.extend(home.entries().into_iter().map(String::from));
    for list in [
        &["ps", "--all", "--format={{.Names}}"][..],
        &["network", "ls", "--format={{.Name}}"],
    ] {
        let output = Command::new("docker").args(list).output().await;
        let output = output.expect("must run");
        assert!(output.status.success(), "{output:?}");
        let names = String::from_utf8(output.stdout).expect("must be UTF-8");
        left.extend(
            names
                .lines()
                .filter(|name| name.starts_with(cluster))
                .map(str::to_owned),
        );
    }
    left
}

async fn nothing_left(home: &Home, cluster: &str) {
    let look = async || match &*left(home, cluster).await {
        [] => Probe::<_, Infallible>::Ready(()),
        left => Probe::NotYet(format!("{left:?}").into()),
    };
    until("nothing is left", LATER, look)
        .await
        .expect("must come true");
}

/// The name of the only cluster.
fn cluster(status: &Status) -> String {
    let node = status.health.first().expect("must have a node");
    let cluster = node.name.strip_suffix("-control-plane");
    cluster.expect("must be kind's").to_owned()
}

#[tokio::test]
async fn it_is_asked_and_leaves_nothing() {
    if std::env::var("LAB_BACKEND").is_ok_and(|backend| backend == "kind") {
        let home = alone().await;
        let lab = up(&home).await;
        let cluster = cluster(&lab);
        used(&home).await;
        asked_and_changed(&home).await;
        let down = tokenlab(&home, &["down"]).await;
        assert_eq!(down.status.code(), Some(0), "{down}");
        assert_eq!(left(&home, &cluster).await, [""; 0], "`down` waits for all");
        killed(&home).await;
    } else {
        skip(
            "cluster::it_is_asked_and_leaves_nothing",
            "LAB_BACKEND is not `kind`",
        );
    }
}

async fn used(home: &Home) {
    let status = tokenlab(home, &["status"]).await;
    assert_eq!(status.status.code(), Some(0), "{status}");
    let ready = status
        .stdout
        .lines()
        .find(|line| line.contains("kube-apiserver"));
    assert!(
        ready.is_some_and(|line| line.ends_with("ready")),
        "{status}"
    );
    for (log, says) in [
        ("apiserver", "Serving securely"),
        ("etcd", "\"caller\":"),
        ("webhook", "listen"),
        ("node", "kubelet"),
    ] {
        let printed = tokenlab(home, &["logs", log]).await;
        assert_eq!(printed.status.code(), Some(0), "{log}: {printed}");
        assert!(printed.stdout.contains(says), "{log} must say `{says}`");
    }
    // One with a living owner is no stray.
    let dry = tokenlab(home, &["down", "--all", "--dry-run"]).await;
    assert_eq!(dry.status.code(), Some(0), "{dry}");
    assert!(dry.stderr.contains("would end the lab `real`"), "{dry}");
    let cluster = status.stdout.lines().find_map(|line| {
        let name = line.trim_start().split(' ').next()?;
        name.strip_suffix("-control-plane")
    });
    let cluster = cluster.expect("must be shown");
    assert!(!dry.stderr.contains(cluster), "{dry}");
}

/// What is tested at length on a bare lab: here it goes through the node.
async fn asked_and_changed(home: &Home) {
    const TTL: &str = "--authentication-token-webhook-cache-ttl=7s";
    let review = tokenlab(home, &["review", "any"]).await;
    assert_eq!(review.status.code(), Some(0), "{review}");
    assert!(review.stdout.contains("authenticated: mock"), "{review}");
    let doctor = tokenlab(home, &["doctor"]).await;
    assert_eq!(doctor.status.code(), Some(0), "{doctor}");
    let known = "the webhook was asked, and knows the token\n";
    assert!(doctor.stdout.contains(known), "{doctor}");
    let forbidden = tokenlab(home, &["kubectl", "--as-token", "any", "get", "ns"]).await;
    assert!(forbidden.stderr.contains("(Forbidden)"), "{forbidden}");

    let set = tokenlab(home, &["flags", "--set", TTL]).await;
    assert_eq!(set.stdout, format!("+ {TTL}\n"), "{set}");
    let bad = tokenlab(home, &["flags", "--set", "no-such-flag=1"]).await;
    assert_eq!(bad.status.code(), Some(1), "{bad}");
    let reason = "Error: unknown flag: --no-such-flag";
    assert!(bad.stderr.contains(reason), "{bad}");
    let flags = tokenlab(home, &["flags"]).await.stdout;
    assert!(flags.lines().any(|flag| flag == TTL), "{flags}");
    assert!(!flags.contains("no-such-flag"), "{flags}");
}

/// Its supervisor is killed, with its guardian: `down --all` finds what is left.
async fn killed(home: &Home) {
    let lab = up(home).await;
    let cluster = cluster(&lab);
    signal(lab.pid, Signal::SIGKILL);
    nothing_left(home, &cluster).await;

    let lab = up(home).await;
    let cluster = self::cluster(&lab);
    crate::support::kill_both(home, &lab).await;
    std::fs::remove_dir_all(home.state()).expect("must be removed");
    assert!(!left(home, &cluster).await.is_empty());
    let all = tokenlab(home, &["down", "--all"]).await;
    assert_eq!(all.status.code(), Some(0), "{all}");
    for what in [
        format!(
            "removed: container {cluster}-control-plane (its owner, pid {}, has ended)",
            lab.pid
        ),
        format!(
            "removed: network {cluster} (its owner, pid {}, has ended)",
            lab.pid
        ),
    ] {
        assert!(all.stderr.contains(&what), "`{what}` must be in {all}");
    }
    assert_eq!(left(home, &cluster).await, [""; 0]);
}
