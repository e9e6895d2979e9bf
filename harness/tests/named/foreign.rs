//! Named labs with somebody else's webhook: one that the supervisor starts, one that runs elsewhere.

use std::convert::Infallible;

use nix::sys::signal::Signal;
use tokenlab_harness::named::{Part, Status};
use tokenlab_harness::{Output, Probe, until};
use tokenlab_webhook::pki::CertificateAuthority;

use crate::home::{Home, SOON};
use crate::peer;
use crate::serving::Serving;
use crate::support::{done, nothing_left, signal, tokenlab};

/// A lab whose webhook is the peer, started with it.
async fn up(home: &Home, peer: &str) -> Status {
    let line = format!("'{peer}' --host 127.0.0.1 --port {{port}} --cert {{cert}} --key {{key}}");
    let status = done(home, &["up", "--json", "--webhook-command", &line]).await;
    serde_json::from_str(&status).expect("must be a status")
}

fn webhook(status: &Status) -> &Part {
    let part = status.health.iter().find(|part| part.name == "webhook");
    part.expect("must be told of")
}

/// It is told that this webhook, and no other, answers.
async fn knows_gopher(home: &Home) {
    let review = done(home, &["review", peer::TOKEN]).await;
    let known = review.matches("authenticated: gopher").count();
    assert_eq!(known, 2, "in both versions: {review}");
    let user = "{.status.userInfo.username}";
    let output = format!("--output=jsonpath={user}");
    let args = ["--as-token", peer::TOKEN, "auth", "whoami", &output];
    assert_eq!(
        done(home, &[&["kubectl"], &args[..]].concat()).await,
        "gopher"
    );
}

async fn cannot_be_set(home: &Home) {
    let set = tokenlab(home, &["set", "--latency", "1s"]).await;
    assert_eq!(set.status.code(), Some(1), "{set}");
    let why = "error: what somebody else's webhook does cannot be set: it is a program of its own";
    assert!(set.stderr.starts_with(why), "{set}");
    assert!(set.stderr.contains("hint: `tokenlab up NAME`"), "{set}");
}

#[tokio::test]
async fn a_command_is_shown_asked_and_ended() {
    let test = "foreign::a_command_is_shown_asked_and_ended";
    let Some(peer) = peer::built(test).await else {
        return;
    };
    let home = Home::new().await;
    let lab = up(&home, peer.as_str()).await;
    let pid = webhook(&lab).pid.expect("must be a process");
    let is_the_peer = |name: &str| name == "token-webhook-p";
    let processes = home.processes().into_iter();
    let mut found = processes.filter(|found| is_the_peer(&found.name));
    assert_eq!(found.next().map(|found| found.pid), Some(pid));
    let shown = done(&home, &["status"]).await;
    let row = shown
        .lines()
        .find(|line| line.ends_with(&format!("running, pid {pid}")));
    let row = row.expect("must be shown").trim_start();
    assert!(row.starts_with("webhook "), "{shown}");
    let log = done(&home, &["logs", "webhook"]).await;
    assert!(log.contains("Serving webhook server"), "{log}");
    knows_gopher(&home).await;
    cannot_be_set(&home).await;

    done(&home, &["down"]).await;
    // At once: `down` has waited for it.
    assert_eq!(home.processes(), []);
    nothing_left(&home).await;
}

#[tokio::test]
async fn a_command_that_dies_is_told_of() {
    let test = "foreign::a_command_that_dies_is_told_of";
    let Some(peer) = peer::built(test).await else {
        return;
    };
    let home = Home::new().await;
    let lab = up(&home, peer.as_str()).await;
    signal(
        webhook(&lab).pid.expect("must be a process"),
        Signal::SIGKILL,
    );
    let status = fails(&home).await;
    let row = status.stdout.lines().find(|line| line.contains("ended:"));
    let row: Vec<_> = row.expect("must be told").split_whitespace().collect();
    assert_eq!(row.join(" "), "webhook ended: signal: 9 (SIGKILL)");
    // What it said before stays readable, and the lab can be ended.
    let log = done(&home, &["logs", "webhook"]).await;
    assert!(log.contains("Serving webhook server"), "{log}");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// Waits until `status` says that not all is well.
async fn fails(home: &Home) -> Output {
    let look = async || {
        let status = tokenlab(home, &["status"]).await;
        match status.status.code() {
            Some(1) => Probe::<_, Infallible>::Ready(status),
            _ => Probe::NotYet(status.to_string().into()),
        }
    };
    let status = until("it is told", SOON, look).await;
    status.expect("must come true")
}

#[tokio::test]
async fn a_command_goes_with_a_supervisor_that_is_killed() {
    let test = "foreign::a_command_goes_with_a_supervisor_that_is_killed";
    let Some(peer) = peer::built(test).await else {
        return;
    };
    let home = Home::new().await;
    let lab = up(&home, peer.as_str()).await;
    signal(lab.pid, Signal::SIGKILL);
    nothing_left(&home).await;
}

#[tokio::test]
async fn one_that_runs_elsewhere_is_asked_and_left_alone() {
    let test = "foreign::one_that_runs_elsewhere_is_asked_and_left_alone";
    let Some(program) = peer::built(test).await else {
        return;
    };
    let home = Home::new().await;
    let folder = home.file("webhook");
    std::fs::create_dir(&folder).expect("must be made");
    let authority = CertificateAuthority::new("somebody").expect("must be made");
    let client = authority.client("apiserver", &[]).expect("must be made");
    let file = |name, text| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("must be written");
        path
    };
    let certificate = file("client.crt", client.certificate_pem());
    let key = file("client.key", client.key_pem());
    let peer = Serving::start(&program, &folder, &authority).await;
    let url = format!("https://{}/authenticate", peer.address);
    let ca = folder.join("ca.crt");
    let files = ["--ca", ca.as_str(), "--client-cert", certificate.as_str()];
    let files = [&files[..], &["--client-key", key.as_str()]].concat();
    let args = [&["up", "--json", "--webhook-url", &url], &files[..]].concat();
    let lab: Status = serde_json::from_str(&done(&home, &args).await).expect("must be a status");
    assert_eq!(lab.webhook, url);
    // The supervisor does not read them again.
    for file in [&ca, &certificate, &key] {
        std::fs::remove_file(file).expect("must be removed");
    }
    knows_gopher(&home).await;
    cannot_be_set(&home).await;
    let log = tokenlab(&home, &["logs", "webhook"]).await;
    assert_eq!(log.status.code(), Some(1), "{log}");
    let why = "error: there is no such log: the webhook runs elsewhere, and so is its log\n";
    assert_eq!(log.stderr, why);
    let flags = "authentication-token-webhook-cache-ttl=0s";
    done(&home, &["flags", "--set", flags]).await;
    knows_gopher(&home).await;

    done(&home, &["down"]).await;
    nothing_left(&home).await;
    let still = tokio::net::TcpStream::connect(peer.address).await;
    assert!(still.is_ok(), "it is not the lab's to end: {still:?}");
}
