use std::net::SocketAddr;

use rstest::rstest;
use tokenlab_webhook::{Limits, Mock, Server, router};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::attacks::raw::{self, HTTP1, HTTP2};
use crate::peer::{PATIENCE, Webhook, certified, soon};

/// Nothing here ends by a limit.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.drain = PATIENCE * 10;
    limits.linger = PATIENCE * 10;
    limits
}

async fn patient() -> Webhook {
    Webhook::configured(Mock, |server| server.with_limits(limits())).await
}

/// Waits until nobody is accepted any more: the server knows of the stop.
async fn closed(address: SocketAddr) {
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_next_request_of_http_1_is_the_last() {
    let webhook = patient().await;
    let address = webhook.address;
    let mut idle = raw::connect(&webhook, HTTP1).await;
    idle.write_all(raw::post().as_bytes()).await.expect("sent");
    let answer = raw::answer(&mut idle).await;
    assert!(!answer.contains("connection: close"), "{answer}");
    let served = webhook.stop();
    closed(address).await;
    idle.write_all(raw::post().as_bytes()).await.expect("sent");
    let answer = String::from_utf8(raw::rest(&mut idle).await).expect("UTF-8");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    drop(idle);
    soon(served).await.expect("no panic");
}

#[tokio::test]
async fn a_request_that_crosses_the_goaway_is_answered() {
    let webhook = patient().await;
    let address = webhook.address;
    let mut idle = raw::connect(&webhook, HTTP2).await;
    let first = [raw::PREFACE, &raw::review(1)].concat();
    idle.write_all(&first).await.expect("sent");
    raw::until(&mut idle, raw::DATA).await;
    let served = webhook.stop();
    closed(address).await;
    // Its GOAWAY may be here by now, but nobody has read it.
    idle.write_all(&raw::review(3)).await.expect("sent");
    raw::until(&mut idle, raw::DATA).await;
    drop(idle);
    soon(served).await.expect("no panic");
}

#[rstest]
#[case::http_1(HTTP1)]
#[case::http_2(HTTP2)]
#[tokio::test]
async fn a_handshake_is_finished(#[case] alpn: &[u8]) {
    let webhook = patient().await;
    let address = webhook.address;
    let connector = raw::connector(webhook.authority.as_deref().expect("TLS"), alpn);
    let stream = TcpStream::connect(address).await.expect("a server");
    let served = webhook.stop();
    closed(address).await;
    let mut stream = soon(raw::shake(stream, &connector))
        .await
        .expect("a server");
    answers(&mut stream, alpn).await;
    drop(stream);
    soon(served).await.expect("no panic");
}

/// The kernel has told them that they are connected.
#[rstest]
#[case::http_1(HTTP1)]
#[case::http_2(HTTP2)]
#[tokio::test]
async fn the_backlog_is_served(#[case] alpn: &[u8]) {
    let (tls, authority) = certified();
    let server = Server::bind(([127, 0, 0, 1], 0).into(), Some(tls)).await;
    let server = server.expect("a free port").with_limits(limits());
    let stream = TcpStream::connect(server.local_addr()).await;
    let connector = raw::connector(&authority, alpn);
    // Stopped before it has begun.
    let served = tokio::spawn(server.serve(router(Mock), std::future::ready(())));
    let shaken = raw::shake(stream.expect("a server"), &connector);
    let mut stream = soon(shaken).await.expect("a server");
    answers(&mut stream, alpn).await;
    drop(stream);
    soon(served).await.expect("no panic");
}

async fn answers(stream: &mut TlsStream<TcpStream>, alpn: &[u8]) {
    if alpn == HTTP1 {
        stream
            .write_all(raw::post().as_bytes())
            .await
            .expect("sent");
        assert!(raw::answer(stream).await.contains("200 OK"));
    } else {
        let first = [raw::PREFACE, &raw::review(1)].concat();
        stream.write_all(&first).await.expect("sent");
        raw::until(stream, raw::DATA).await;
    }
}
