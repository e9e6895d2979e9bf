//! `tokenlab doctor`: what it says of labs that are whole and broken, and of a cluster seen from
//! outside.

use std::convert::Infallible;
use std::time::Duration;

use insta::assert_snapshot;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokenlab_harness::named::Status;
use tokenlab_harness::{Output, Poll, Probe, until};

use crate::home::{Home, SOON};
use crate::owner::Running;
use crate::programs;
use crate::support::{done, filtered, nothing_left, tokenlab, up, words};

/// A token that must be found nowhere but in a kubeconfig.
const CANARY: &str = "canary-d0c7f00d";

fn shown(output: &Output) -> String {
    let times = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").expect("is a pattern");
    let text = filtered(&output.stdout);
    let code = output.status.code().unwrap_or_default();
    format!("exit code: {code}\n{}", times.replace_all(&text, "[time]"))
}

#[tokio::test]
async fn a_lab_is_looked_at() {
    let home = Home::new().await;
    up(&home, "patient").await;
    let whole = tokenlab(&home, &["doctor"]).await;
    assert_snapshot!(shown(&whole), @r#"
    exit code: 0
    user "mock", uid "mock", groups group-mock, system:authenticated: the webhook was asked, and knows the token
      flags        --authentication-token-webhook-config-file=[run folder]/webhook-config.yml
      file         https://127.0.0.1:[port]/authenticate by the name my-authn.kube-system.svc, without a client certificate
      metrics      calls to the webhook: 1 answered 200
      record       asked once: authenticated as "mock"
      certificate  for my-authn.kube-system.svc (common name my-authn.kube-system.svc), valid [time] to [time], signed by CN=tokenlab-webhook
      probe        HTTP 200, authenticated as "mock"
    "#);

    let line = format!("set {CANARY} --refuse");
    done(&home, &words(&line)).await;
    let line = format!("doctor patient --as-token {CANARY}");
    let refused = tokenlab(&home, &words(&line)).await;
    assert_snapshot!(shown(&refused), @r#"
    exit code: 1
    401 Unauthorized [refused]: the token is nobody's: it was refused
      flags        --authentication-token-webhook-config-file=[run folder]/webhook-config.yml
      file         https://127.0.0.1:[port]/authenticate by the name my-authn.kube-system.svc, without a client certificate
      log          invalid bearer token
      metrics      calls to the webhook: 1 answered 200
      record       asked once: refused
      certificate  for my-authn.kube-system.svc (common name my-authn.kube-system.svc), valid [time] to [time], signed by CN=tokenlab-webhook
      probe        HTTP 200, refused
    what to do: use a token that the webhook knows
    "#);
    let again = tokenlab(&home, &words(&format!("{line} --json"))).await;
    let report: Value = serde_json::from_str(&again.stdout).expect("must be JSON");
    assert_eq!(report["lab"], "patient");
    assert_eq!(report["cause"], "cached-refusal", "{report}");
    assert_eq!(report["answer"], "unauthorized");
    assert_eq!(report["healthy"], false);
    assert!(!again.stdout.contains(CANARY), "{again}");

    done(&home, &["set", "--down"]).await;
    let down = tokenlab(&home, &["doctor"]).await;
    assert_snapshot!(shown(&down), @r#"
    exit code: 1
    401 Unauthorized [nothing-listens]: nothing listens at the webhook's address
      flags        --authentication-token-webhook-config-file=[run folder]/webhook-config.yml
      file         https://127.0.0.1:[port]/authenticate by the name my-authn.kube-system.svc, without a client certificate
      log          [invalid bearer token, Post "https://127.0.0.1:[port]/authenticate?timeout=30s": dial tcp 127.0.0.1:[port]: connect: connection refused]
      metrics      calls to the webhook: 1 without an answer
      record       not asked about it
      probe        no answer came: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
    what to do: start the webhook, and look whether it listens at that address and port
    "#);
    done(&home, &["set", "--up"]).await;

    unset_the_flag(&home).await;
    let unset = tokenlab(&home, &["doctor"]).await;
    assert_snapshot!(shown(&unset), @r#"
    exit code: 1
    401 Unauthorized [flag-not-set]: the running kube-apiserver has no webhook: its flag is not set
      flags        no --authentication-token-webhook-config-file
      log          invalid bearer token
    what to do: set `--authentication-token-webhook-config-file` where kube-apiserver is really started from: a copy of its manifest, or a generated configuration, may win
    "#);
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

async fn unset_the_flag(home: &Home) {
    let flag = tokenlab_harness::CONFIG_FILE_FLAG;
    done(home, &["flags", "--unset", flag]).await;
}

/// Whether the kubeconfig of who makes the request is written.
fn is_shown(lab: &Status) -> bool {
    let folder = lab.folder.read_dir_utf8().expect("must be there");
    let mut files = folder.map(|entry| entry.expect("must be read"));
    files.any(|file| file.file_name().starts_with("doctor-"))
}

/// Nobody reads what comes of it.
#[tokio::test]
async fn who_gives_up_ends_the_look() {
    // kube-apiserver waits for half a minute.
    const EARLY: Poll = Poll {
        within: Duration::from_secs(20),
        ..SOON
    };
    let home = Home::new().await;
    let lab = up(&home, "patient").await;
    done(&home, &words("set --latency 60s")).await;
    let asks = async |expected| {
        let processes = home.processes();
        let asks = processes.iter().any(|process| process.name == "kubectl");
        // Before that kubectl only looks at the metrics. Afterwards nothing is left of who asked.
        if asks == expected && is_shown(&lab) == expected {
            Probe::<_, Infallible>::Ready(())
        } else {
            Probe::NotYet(format!("{processes:?}").into())
        }
    };
    let doctor = Running::start(home.tokenlab(&["doctor"]).await);
    let begun = until("the webhook is asked", SOON, async || asks(true).await);
    begun.await.expect("must be");
    doctor.signal(Signal::SIGINT);
    assert_eq!(doctor.ended().await.status.code(), Some(130));
    let over = until("nobody asks any more", EARLY, async || asks(false).await);
    over.await.expect("must be");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// Of a cluster that is somebody else's there is less to see, and that is said.
#[tokio::test]
async fn a_cluster_is_seen_from_outside() {
    let home = Home::new().await;
    let lab = up(&home, "theirs").await;
    let kubectl = &programs::real().await.kubectl;
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = kubectl.parent().expect("must be a path");
    let config = lab.folder.join("webhook-config.yml");
    let doctor = async |args: &[&str]| {
        let admin = lab.kubeconfig.as_str();
        let args = [&["doctor", "--kubeconfig", admin], args].concat();
        let mut command = home.tokenlab(&args).await;
        command.env("PATH", format!("{folder}:{path}"));
        crate::owner::ended(&mut command).await
    };
    let config = ["--webhook-config", config.as_str()];
    let known = [&config[..], &["--as-token", CANARY]].concat();
    assert_snapshot!(shown(&doctor(&known).await), @r#"
    exit code: 0
    user "mock", uid "mock", groups group-mock, system:authenticated: the webhook was asked, and knows the token
      file         https://127.0.0.1:[port]/authenticate by the name my-authn.kube-system.svc, without a client certificate
      metrics      calls to the webhook: 1 answered 200
      certificate  for my-authn.kube-system.svc (common name my-authn.kube-system.svc), valid [time] to [time], signed by CN=tokenlab-webhook
      probe        from here: HTTP 200, authenticated as "mock"
      flags        not seen: the cluster is somebody else's
      log          not seen: the cluster is somebody else's
      record       not seen: the cluster is somebody else's
    "#);
    // The kubeconfig's own user shows a certificate.
    assert_snapshot!(shown(&doctor(&config).await), @r#"
    exit code: 1
    user "lab-admin", groups system:masters, system:authenticated [no-token]: no token was sent
      user         known by a client certificate
      file         https://127.0.0.1:[port]/authenticate by the name my-authn.kube-system.svc, without a client certificate
      metrics      no call to the webhook
      flags        not seen: the cluster is somebody else's
      log          not seen: the cluster is somebody else's
      record       not seen: the cluster is somebody else's
      probe        not seen: there is no token to ask about
    what to do: send a token: `Authorization: Bearer …`, or `token` of the kubeconfig's user
    "#);
    // In the lab the same kubeconfig says who asks.
    let admin = lab.kubeconfig.as_str();
    let args = ["doctor", "theirs", "--kubeconfig", admin, "--json"];
    let mut inside = home.tokenlab(&args).await;
    // It has a kubectl.
    inside.env("PATH", "/nowhere");
    let inside = crate::owner::ended(&mut inside).await;
    let report: Value = serde_json::from_str(&inside.stdout).expect("must be JSON");
    assert_eq!(report["cause"], "no-token", "{report}");
    assert_eq!(report["name"], "lab-admin", "{report}");
    assert_eq!(
        report["unseen"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );

    done(&home, &["set", "--down"]).await;
    let other = [&config[..], &["--as-token", "another"]].concat();
    assert_snapshot!(shown(&doctor(&other).await), @r#"
    exit code: 1
    401 Unauthorized [nothing-listens]: nothing listens at the webhook's address
      file         https://127.0.0.1:[port]/authenticate by the name my-authn.kube-system.svc, without a client certificate
      metrics      calls to the webhook: 1 without an answer
      probe        from here: no answer came: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
      flags        not seen: the cluster is somebody else's
      log          not seen: the cluster is somebody else's
      record       not seen: the cluster is somebody else's
    what to do: start the webhook, and look whether it listens at that address and port. So it is from here: kube-apiserver's machine may find something else there
    "#);
    done(&home, &["set", "--up"]).await;

    // A copy that is broken, or is not there, says nothing of the apiserver's, and shows no secret.
    let broken = lab.folder.join("broken.yml");
    let text = "users:\n- user:\n    token: CANARY: x\n    password: [CANARY\n";
    std::fs::write(&broken, text).expect("must be written");
    let told = doctor(&["--webhook-config", broken.as_str(), "--as-token", "third"]).await;
    assert!(told.stdout.contains("it is not YAML"), "{told}");
    assert!(!told.to_string().contains("CANARY"), "{told}");
    std::fs::remove_file(&broken).expect("must be removed");
    let missing = doctor(&["--webhook-config", broken.as_str()]).await;
    assert_eq!(missing.status.code(), Some(2), "{missing}");

    // A token that nobody showed before: no refusal of it is remembered.
    unset_the_flag(&home).await;
    let unset = [&config[..], &["--as-token", "fourth", "--json"]].concat();
    let unset = doctor(&unset).await;
    let report: Value = serde_json::from_str(&unset.stdout).expect("must be JSON");
    assert_eq!(report["cause"], "not-asked", "{report}");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}
