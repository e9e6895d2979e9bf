use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use rstest::rstest;
use tokenlab_webhook::User;
use tokenlab_webhook::authenticators::token_file::Entry;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::peer::{PATIENCE, TUTORIAL, client, soon, url};
use crate::program::{PROGRAM, Program};
use crate::serve::material;

/// Status and body of a page on the health port.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let client = client(address, None).build().expect("a client");
    let request = client.get(format!("http://{address}{path}"));
    let response = request.send().await.expect("a response");
    let status = response.status().as_u16();
    (status, response.text().await.expect("UTF-8"))
}

/// Asks for the metrics until there is a line with this value.
pub(crate) async fn metric(address: SocketAddr, line: &str) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let mut seen = String::new();
    let found = async {
        loop {
            clock.tick().await;
            (_, seen) = get(address, "/metrics").await;
            if seen.lines().any(|seen| seen == line) {
                return;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    assert!(found.is_ok(), "no `{line}` in:\n{seen}");
}

impl Program {
    /// Serves the mock in plain HTTP, with a health port.
    async fn with_health(args: &[&str]) -> (Self, SocketAddr) {
        let all = [&["--plain-http", "--health-listen", "127.0.0.1:0"], args].concat();
        let program = Self::serve(&all, "info").await;
        let health = program.health();
        (program, health)
    }

    async fn post(&self) -> reqwest::Response {
        let client = client(self.address, None).build().expect("a client");
        let request = client.post(url("/authenticate", self.address, false));
        request.body(TUTORIAL).send().await.expect("a response")
    }
}

#[tokio::test]
async fn what_was_done_is_counted() {
    let (program, health) = Program::with_health(&[]).await;
    assert_eq!(get(health, "/livez").await, (200, "ok".to_owned()));
    assert_eq!(get(health, "/readyz").await, (200, "ok".to_owned()));
    assert_eq!(get(health, "/authenticate").await.0, 404);
    assert_eq!(program.post().await.status(), 200);
    for line in [
        r#"tokenreview_requests_total{version="v1beta1",outcome="authenticated",code="200"} 1"#,
        r#"tokenreview_duration_seconds_count{outcome="authenticated"} 1"#,
        "tokenreview_in_flight 0",
        r#"tokenreview_connections{proto="plain"} 0"#,
        r#"tokenreview_mode{mode="mock"} 1"#,
    ] {
        metric(health, line).await;
    }
    let open = TcpStream::connect(program.address).await.expect("a server");
    metric(health, r#"tokenreview_connections{proto="plain"} 1"#).await;
    drop(open);
    metric(health, r#"tokenreview_connections{proto="plain"} 0"#).await;
}

/// Who has no client certificate may still ask how it is.
#[tokio::test]
async fn handshakes_and_new_files_are_counted() {
    let dir = material();
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (token, entry) = Entry::generate(User::new("ann"));
    fs::write(path("tokens"), "").expect("written");
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--health-listen", "127.0.0.1:0"]);
    command.args(["--tls-cert-file", &path("tls.crt")]);
    command.args(["--tls-private-key-file", &path("tls.key")]);
    command.args(["--client-ca-file", &path("ca.crt")]);
    command.args(["--token-file", &path("tokens")]);
    let mut program = Program::start(&mut command).await;
    let health = program.health();
    let (_, metrics) = get(health, "/metrics").await;
    assert!(
        metrics.contains("tokenreview_cert_not_after_seconds 1"),
        "{metrics}"
    );

    let authority = fs::read_to_string(path("ca.crt")).expect("an authority");
    let client = client(program.address, Some(&authority))
        .build()
        .expect("a client");
    let request = client.post(url("/authenticate", program.address, true));
    request
        .body(TUTORIAL)
        .send()
        .await
        .expect_err("no certificate");
    metric(
        health,
        r#"tokenreview_tls_handshakes_total{result="client_certificate"} 1"#,
    )
    .await;

    // As one step: whoever looks at it in between sees the old, not the half.
    let replace = |name: &str, content: &str| {
        fs::write(path("new"), content).expect("written");
        fs::rename(path("new"), path(name)).expect("renamed");
    };
    replace("tokens", &format!("{entry}\n"));
    metric(
        health,
        r#"tokenreview_reload_total{what="token_file",result="ok"} 1"#,
    )
    .await;
    replace("tls.crt", "none");
    metric(
        health,
        r#"tokenreview_reload_total{what="certificate",result="failed"} 1"#,
    )
    .await;
    let line = program.line_with("cannot be read again").await;
    assert!(
        line.contains("no certificate is in the chain's PEM"),
        "{line}"
    );
    assert_eq!(get(health, "/readyz").await.0, 200, "the old one is good");
    assert!(!line.contains(token.expose()), "{line}");
}

/// Not ready at once, so that no new client is sent here; but whoever still comes is served.
#[rstest]
#[case::impatient(Signal::SIGTERM)]
#[case::interrupt(Signal::SIGINT)]
#[tokio::test]
async fn it_goes_on_until_the_delay_is_over(#[case] again: Signal) {
    let delay = ["--shutdown-delay", "1h"];
    let (mut program, health) = Program::with_health(&delay).await;
    program.signal(Signal::SIGTERM);
    program.line_with("stopping").await;
    assert_eq!(get(health, "/livez").await.0, 200);
    let ready = get(health, "/readyz").await;
    assert_eq!(ready, (503, "server: stopping".to_owned()));
    assert_eq!(program.post().await.status(), 200);
    program.signal(again);
    let (status, stderr) = program.end().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[tokio::test]
async fn the_delay_ends_by_itself() {
    let delay = ["--shutdown-delay", "100ms"];
    let (program, _) = Program::with_health(&delay).await;
    program.signal(Signal::SIGTERM);
    let (status, stderr) = soon(program.end()).await;
    assert_eq!(status.code(), Some(0), "{stderr}");
}
