use std::sync::Arc;

use rstest::rstest;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{ConnectionObserver, Handshake, Limits, Mock, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::raw::{self, HTTP1, HTTP2};
use crate::peer::{PATIENCE, TUTORIAL, Webhook, soon};

/// What an observer is told.
#[derive(Debug, PartialEq)]
enum Told {
    Handshake(Handshake),
    Opened(Protocol),
    Closed(Protocol),
}

#[derive(Debug)]
struct Telling(UnboundedSender<Told>);

impl ConnectionObserver for Telling {
    fn handshake(&self, outcome: Handshake) {
        self.0.send(Told::Handshake(outcome)).ok();
    }

    fn opened(&self, protocol: Protocol) {
        self.0.send(Told::Opened(protocol)).ok();
    }

    fn closed(&self, protocol: Protocol) {
        self.0.send(Told::Closed(protocol)).ok();
    }
}

async fn observed() -> (Webhook, UnboundedReceiver<Told>) {
    let (sender, told) = unbounded_channel();
    let observer = Arc::new(Telling(sender));
    let webhook = Webhook::configured(Mock, |server| server.with_observer(observer)).await;
    (webhook, told)
}

#[rstest]
#[case::nothing(b"")]
#[case::plain_http(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")]
#[case::http2(raw::PREFACE)]
#[case::zeros(&[0; 4096])]
#[case::cut(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")]
#[case::half_a_record(b"\x16\x03\x01\x00\x28\x01")]
#[case::long_record(b"\x16\x03\x01\xff\xff\x01")]
#[case::empty_hello(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")]
#[tokio::test]
async fn garbage(#[case] octets: &[u8]) {
    let (webhook, mut told) = observed().await;
    let mut stream = TcpStream::connect(webhook.address).await.expect("a server");
    stream.write_all(octets).await.expect("sent");
    stream.shutdown().await.expect("sent");
    // An alert, or nothing; a reset, where there was more than it wanted to read.
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.ok();
    assert!(answer.len() <= 7, "{answer:x?}");
    let first = soon(told.recv()).await.expect("a server");
    assert_eq!(first, Told::Handshake(Handshake::Failed));
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
}

#[rstest]
#[case::http_1(HTTP1, Protocol::Http1)]
#[case::http_2(HTTP2, Protocol::Http2)]
#[tokio::test]
async fn a_connection_is_told_of(#[case] alpn: &[u8], #[case] protocol: Protocol) {
    let (webhook, mut told) = observed().await;
    let stream = raw::connect(&webhook, alpn).await;
    let mut next = async || soon(told.recv()).await.expect("a server");
    assert_eq!(next().await, Told::Handshake(Handshake::Completed));
    assert_eq!(next().await, Told::Opened(protocol));
    drop(stream);
    assert_eq!(next().await, Told::Closed(protocol));
}

#[tokio::test]
async fn a_client_without_trust_is_told_of() {
    let (webhook, mut told) = observed().await;
    let stranger = CertificateAuthority::new("stranger").expect("an authority");
    let connector = raw::connector(stranger.certificate_pem(), HTTP2);
    let stream = TcpStream::connect(webhook.address).await.expect("a server");
    soon(raw::shake(stream, &connector))
        .await
        .expect_err("no trust");
    let first = soon(told.recv()).await.expect("a server");
    assert_eq!(first, Told::Handshake(Handshake::Alert));
}

/// A server that is dropped with its connections tells of their end, too.
#[tokio::test]
async fn a_drop_is_told_of() {
    let (webhook, mut told) = observed().await;
    let _stream = raw::connect(&webhook, HTTP2).await;
    let mut next = async || soon(told.recv()).await.expect("a server");
    assert_eq!(next().await, Told::Handshake(Handshake::Completed));
    assert_eq!(next().await, Told::Opened(Protocol::Http2));
    webhook.abort().await;
    assert_eq!(next().await, Told::Closed(Protocol::Http2));
}

/// Strangers who begin handshakes, more than there may be connections, keep nobody out.
#[rstest]
#[case::silent(b"")]
#[case::refused(b"garbage")]
#[tokio::test]
async fn the_oldest_gives_way(#[case] octets: &[u8]) {
    let mut limits = Limits::default();
    limits.connections = 64;
    limits.handshake = PATIENCE * 10;
    limits.linger = PATIENCE * 10;
    let webhook = Webhook::configured(Mock, |server| server.with_limits(limits)).await;
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(webhook.address).await.expect("a server");
        stream.write_all(octets).await.expect("sent");
        strangers.push(stream);
    }
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
    let mut oldest = strangers.swap_remove(0);
    // A reset is an end, too.
    soon(oldest.read_to_end(&mut Vec::new())).await.ok();
}
