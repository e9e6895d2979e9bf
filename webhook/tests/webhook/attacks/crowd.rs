use futures::StreamExt as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokenlab_webhook::{Limits, Mock};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::raw::{self, HTTP1, HTTP2};
use crate::health::metric;
use crate::material::Material;
use crate::peer::{PATIENCE, TUTORIAL, Webhook, client, soon, url};
use crate::program::{PROGRAM, Program};
use crate::skipped::skip;

/// How many clients do nothing.
const CROWD: usize = 10_000;

/// Whether this process may have so many files, after it has asked for them.
fn may_open(files: u64) -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    soft >= files || (hard >= files && setrlimit(Resource::RLIMIT_NOFILE, files, hard).is_ok())
}

/// Over TLS, those that speak HTTP/2 and HTTP/1.1 by turns; beside them reviews are answered.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections() {
    if !may_open(CROWD as u64 + 500) {
        return skip(
            "attacks::crowd::ten_thousand_idle_connections",
            "too few file descriptors",
        );
    }
    let material = Material::new();
    // None ends by its time, or because it does not answer a ping.
    let limits = ["--idle-timeout=1h", "--http2-ping-interval=1h"].map(str::to_owned);
    let health = ["--health-listen=127.0.0.1:0".to_owned()];
    let args = [&material.args()[..], &limits, &health].concat();
    let program = Program::serve(&args, "info").await;
    let (rest, _) = program.memory();
    let connectors = [HTTP1, HTTP2].map(|alpn| raw::connector(&material.authority, alpn));
    let mut idle: Vec<_> = futures::stream::iter(0..CROWD)
        .map(|n| {
            let (address, connector) = (program.address, connectors[n % 2].clone());
            tokio::spawn(async move {
                let mut stream = raw::connect_to(address, &connector).await;
                if n % 2 == 1 {
                    stream.write_all(raw::PREFACE).await.expect("sent");
                    stream.flush().await.expect("sent");
                }
                (n % 2 == 0, stream)
            })
        })
        .buffer_unordered(200)
        .map(|stream| stream.expect("no panic"))
        .collect()
        .await;
    // It has each of them, still.
    for proto in ["h2", "http/1.1"] {
        let half = CROWD / 2;
        let line = format!(r#"tokenreview_connections{{proto="{proto}"}} {half}"#);
        metric(program.health(), &line).await;
    }
    let client = client(program.address, Some(&material.authority));
    let client = client.build().expect("a client");
    let url = url("/authenticate", program.address, true);
    for _ in 0..200 {
        let request = client.post(&url).body(TUTORIAL);
        let answer = soon(request.send()).await.expect("a response");
        assert_eq!(answer.status(), 200);
    }
    let each = (program.memory().0 - rest) / CROWD;
    assert!(each < 64 * 1024, "{each} octets for each connection");
    // And one who comes now; and some of the crowd, when they wake up.
    idle.push((true, raw::connect_to(program.address, &connectors[0]).await));
    for (http1, stream) in idle.iter_mut().rev().step_by(51) {
        if *http1 {
            stream
                .write_all(raw::post().as_bytes())
                .await
                .expect("sent");
            assert!(raw::answer(stream).await.contains("200 OK"));
        } else {
            stream.write_all(&raw::review(1)).await.expect("sent");
            raw::until(stream, raw::DATA).await;
        }
    }
}

/// More than there may be wait, and are served when there is room.
#[tokio::test]
async fn connections_have_a_limit() {
    let mut limits = Limits::default();
    limits.connections = 2;
    limits.handshake = PATIENCE * 10;
    let webhook = Webhook::configured(Mock, |server| server.with_limits(limits)).await;
    let mut one = raw::connect(&webhook, HTTP1).await;
    let _silent = TcpStream::connect(webhook.address).await.expect("a server");
    let authority = webhook.authority.as_deref().expect("TLS");
    let connector = raw::connector(authority, HTTP1);
    let waiting = TcpStream::connect(webhook.address).await.expect("a server");
    let mut waiting = Box::pin(raw::shake(waiting, &connector));
    for _ in 0..20 {
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("it must wait"),
            () = async {
                one.write_all(raw::post().as_bytes()).await.expect("sent");
                assert!(raw::answer(&mut one).await.contains("200 OK"));
            } => {}
        }
    }
    drop(one);
    let mut waiting = soon(waiting).await.expect("a handshake");
    waiting
        .write_all(raw::post().as_bytes())
        .await
        .expect("sent");
    assert!(raw::answer(&mut waiting).await.contains("200 OK"));
}

/// It starts with few, and takes what it may have.
#[tokio::test]
async fn files_are_asked_for() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\"", PROGRAM]);
    limited.args(["serve", "--mock", "--plain-http", "--listen", "127.0.0.1:0"]);
    let program = Program::start(limited.env("TOKENLAB_LOG", "warn")).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(program.address).await.expect("a server"));
    }
    let client = client(program.address, None).build().expect("a client");
    let url = url("/authenticate", program.address, false);
    let answer = soon(client.post(url).body(TUTORIAL).send()).await;
    assert_eq!(answer.expect("a response").status(), 200);
}
