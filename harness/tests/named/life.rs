//! A lab's life: up, used, down.

use std::convert::Infallible;

use insta::assert_snapshot;
use nix::sys::signal::Signal;
use rstest::rstest;
use tokenlab_harness::named::Status;
use tokenlab_harness::{Probe, until};

use crate::home::{Home, SOON};
use crate::owner::Running;
use crate::support::{done, filtered, nothing_left, signal, tokenlab, up};

#[tokio::test]
async fn it_stays_and_is_listed_asked_and_ended() {
    let home = Home::new().await;
    let started = tokenlab(&home, &["up", "--flag", "v=2"]).await;
    assert_eq!(started.status.code(), Some(0), "{started}");
    home.has_a_lab();
    assert_snapshot!(filtered(&started.stdout), @"
    ✓ the lab `default` is ready: Kubernetes [version] on bare ([time])

      tokenlab kubectl -l default get ns               kubectl as its admin
      tokenlab kubectl -l default --as-token T get ns  and as a token's user
      tokenlab shell -l default                        a shell with all that
      tokenlab review -l default T                     ask the webhook
      tokenlab set -l default T --refuse               change what it answers
      tokenlab watch -l default                        see what it is asked
      tokenlab flags -l default                        kube-apiserver's flags
      tokenlab logs -l default                         and what it writes
      tokenlab status default                          how it is, and its files
      tokenlab down default                            its end
    ");

    assert_snapshot!(filtered(&done(&home, &["list"]).await), @"
    NAME     STATE    BACKEND  KUBERNETES  AGE
    default  running  bare     [version]      [age]
    ");
    assert_snapshot!(filtered(&done(&home, &["status"]).await), @"
    default
      runs            Kubernetes [version] on bare
      for             [age]
      webhook         https://127.0.0.1:[port]/authenticate
      kubeconfig      [run folder]/admin-[random].kubeconfig
      kubectl         [programs]/kubectl
      files           [run folder]
      supervisor      pid [pid]
      flag            --v=2
      etcd            running, pid [pid]
      kube-apiserver  running, pid [pid]
      webhook         listens
    ");

    // What it says is what works.
    let status = done(&home, &["status", "default", "--json"]).await;
    let status: Status = serde_json::from_str(&status).expect("must be a status");
    let kubectl = tokio::process::Command::new(&status.kubectl)
        .args(["--kubeconfig", status.kubeconfig.as_str(), "auth", "whoami"])
        .output();
    let said = kubectl.await.expect("must run");
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("lab-admin"), "{said}");
    let command_lines = std::fs::read_to_string(status.folder.join("command-lines"));
    assert!(command_lines.expect("must be read").contains(" --v=2"));

    let ended = tokenlab(&home, &["down"]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    assert!(
        ended.stderr.ends_with("the lab `default` has ended\n"),
        "{ended}"
    );
    // At once: `down` has waited for the guardian, too.
    assert_eq!(home.processes(), []);
    assert_eq!(home.entries(), [""; 0]);
    nothing_left(&home).await;
}

#[tokio::test]
async fn its_logs_are_printed_and_followed_to_its_end() {
    let home = Home::new().await;
    up(&home, "logged").await;
    let etcd = done(&home, &["logs", "etcd"]).await;
    assert!(etcd.starts_with("{\"level\":"), "{etcd}");
    let printed = done(&home, &["logs", "-l", "logged"]).await;
    let first = printed.lines().next().expect("must say something");
    let mut followed = Running::start(home.tokenlab(&["logs", "-f"]).await);
    followed.says(first).await;

    let none = tokenlab(&home, &["logs", "node"]).await;
    assert_eq!(none.status.code(), Some(1), "{none}");
    assert_eq!(
        none.stderr,
        "error: there is no such log: a bare lab has no node\n"
    );

    done(&home, &["down"]).await;
    let followed = followed.ended().await;
    assert_eq!(followed.status.code(), Some(0), "{followed}");
    // Killed, it would say nothing any more.
    let goodbye = followed.stdout.strip_prefix(&printed);
    assert!(
        goodbye.is_some_and(|said| said.contains("shutdown")),
        "{followed}"
    );
    nothing_left(&home).await;
}

/// A webhook that is served by the supervisor has a log as well; no token stands in it.
#[tokio::test]
async fn what_its_webhook_was_asked_is_a_log() {
    const TOKEN: &str = "canary-of-the-webhooks-log";
    let home = Home::new().await;
    let lab = up(&home, "default").await;
    assert_eq!(done(&home, &["logs", "webhook"]).await, "");
    let admin = std::fs::read_to_string(&lab.kubeconfig).expect("must be there");
    let user = admin
        .lines()
        .filter(|line| !line.contains("client-key-data"));
    let user: Vec<_> = user
        .map(|line| match line.split_once("client-certificate-data:") {
            Some((indented, _)) => format!("{indented}token: {TOKEN}"),
            None => line.to_owned(),
        })
        .collect();
    let kubeconfig = home.file("mock.kubeconfig");
    std::fs::write(&kubeconfig, user.join("\n")).expect("must be written");
    let whoami = tokio::process::Command::new(&lab.kubectl)
        .args(["--kubeconfig", kubeconfig.as_str(), "auth", "whoami"])
        .output();
    let said = whoami.await.expect("must run");
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("group-mock"), "{said}");

    let look = async || {
        let log = done(&home, &["logs", "webhook"]).await;
        if log.lines().count() == 1 {
            Probe::<_, Infallible>::Ready(log)
        } else {
            Probe::NotYet(log.into())
        }
    };
    let log = until("it is written down", SOON, look).await;
    let log = log.expect("must come true");
    assert!(log.contains("mock") && !log.contains(TOKEN), "{log}");
    let event: serde_json::Value = serde_json::from_str(&log).expect("must be JSON");
    assert_eq!(event["source"], "asked", "{event}");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// It stays, to be looked at; what has ended is told.
#[rstest]
#[case::etcd("etcd")]
#[case::apiserver("kube-apiserver")]
#[tokio::test]
async fn a_part_that_dies_is_named(#[case] part: &str) {
    let home = Home::new().await;
    let lab = up(&home, "default").await;
    let found = lab.health.iter().find(|it| it.name == part);
    let pid = found.and_then(|part| part.pid).expect("must be told");
    signal(pid, Signal::SIGKILL);
    let look = async || {
        let status = tokenlab(&home, &["status"]).await;
        match status.status.code() {
            Some(1) => Probe::<_, Infallible>::Ready(status),
            _ => Probe::NotYet(status.to_string().into()),
        }
    };
    let status = until("it is told", SOON, look).await;
    let status = status.expect("must come true");
    let told = status.stdout.lines().find(|line| line.contains("ended:"));
    let told = told.expect("must be told").split_whitespace();
    let told: Vec<_> = told.collect();
    assert_eq!(told.join(" "), format!("{part} ended: signal: 9 (SIGKILL)"));
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

#[tokio::test]
async fn a_flag_that_it_refuses_is_an_error_and_nothing_is_left_but_the_evidence() {
    let home = Home::new().await;
    let refused = tokenlab(&home, &["up", "--flag", "no-such-flag=1"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused
            .stderr
            .contains("error: kube-apiserver ended early: exit status: 1"),
        "{refused}"
    );
    let hint = "hint: this version of the program does not have that flag";
    assert!(refused.stderr.contains(hint), "{refused}");
    home.only_evidence_left(&refused.stderr).await;
    assert_eq!(crate::support::entries(&home), [""; 0]);
}
