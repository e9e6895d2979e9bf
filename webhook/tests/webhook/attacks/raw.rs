use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::peer::{SERVICE, TUTORIAL, Webhook, soon};

/// How a client says what it speaks.
pub(crate) const HTTP1: &[u8] = b"http/1.1";
pub(crate) const HTTP2: &[u8] = b"h2";

/// What begins an HTTP/2 connection: the preface, and settings that are the default ones.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Types of frames (RFC 9113, section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags of frames.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The code of an error (RFC 9113, section 7).
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// For clients that trust `authority` and offer `alpn`.
pub(crate) fn connector(authority: &str, alpn: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate");
    roots.add(authority).expect("a certificate");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// The handshake, on a connection that stands.
pub(crate) async fn shake(
    stream: TcpStream,
    connector: &TlsConnector,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(SERVICE).expect("a name");
    connector.connect(name, stream).await
}

pub(crate) async fn connect_to(
    address: SocketAddr,
    connector: &TlsConnector,
) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a server");
    soon(shake(stream, connector)).await.expect("a handshake")
}

/// A connection over TLS on which nothing has been said.
pub(crate) async fn connect(webhook: &Webhook, alpn: &[u8]) -> TlsStream<TcpStream> {
    let authority = webhook.authority.as_deref().expect("TLS");
    connect_to(webhook.address, &connector(authority, alpn)).await
}

/// The tutorial's review by HTTP/1.1.
pub(crate) fn post() -> String {
    let length = TUTORIAL.len();
    format!(
        "POST /authenticate HTTP/1.1\r\nhost: {SERVICE}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{TUTORIAL}"
    )
}

/// Reads one HTTP/1.1 answer: up to the end of its body.
pub(crate) async fn answer(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = Vec::new();
    loop {
        let length = soon(stream.read_buf(&mut answer)).await.expect("an answer");
        let text = String::from_utf8_lossy(&answer);
        assert_ne!(length, 0, "it ended with: {text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        if body.len() >= length {
            return text.into_owned();
        }
    }
}

/// Reads all that comes until the connection ends, in whatever way.
pub(crate) async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end, too.
    soon(stream.read_to_end(&mut rest)).await.ok();
    rest
}

/// Writes the same until the connection takes no more, at most `times`; whether that happened.
pub(crate) async fn flood(stream: &mut TlsStream<TcpStream>, octets: &[u8], times: usize) -> bool {
    soon(async {
        for _ in 0..times {
            if stream.write_all(octets).await.is_err() {
                return true;
            }
        }
        stream.flush().await.is_err()
    })
    .await
}

/// Writes an octet now and then until the connection ends.
pub(crate) async fn drip(stream: &mut TlsStream<TcpStream>, octet: u8) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let (mut reader, mut writer) = tokio::io::split(stream);
    let dripping = async {
        loop {
            ticks.tick().await;
            if writer.write_all(&[octet]).await.is_err() || writer.flush().await.is_err() {
                break;
            }
        }
    };
    let mut sink = tokio::io::sink();
    let ended = tokio::io::copy(&mut reader, &mut sink);
    soon(async {
        tokio::select! {
            () = dripping => {}
            _ = ended => {}
        }
    })
    .await;
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a review, packed (RFC 7541): what is in the table by its index, the rest as it is.
pub(crate) fn head() -> Vec<u8> {
    let mut head = vec![0x83, 0x87];
    head.extend(literal(&[0x04], "/authenticate"));
    head.extend(literal(&[0x01], SERVICE));
    head.extend(literal(&[0x0f, 0x10], "application/json"));
    head
}

/// A field that is not in the table, packed.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    literal(&literal(&[0x00], name), value)
}

/// A text after `prefix`, at most 127 octets long as those are that fit one for their length.
fn literal(prefix: &[u8], text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    assert!(length < 0x7f, "a short text");
    [prefix, &[length], text.as_bytes()].concat()
}

/// A whole review on a stream of its own.
pub(crate) fn review(stream: u32) -> Vec<u8> {
    let mut review = frame(HEADERS, END_HEADERS, stream, &head());
    review.extend(frame(DATA, END_STREAM, stream, TUTORIAL.as_bytes()));
    review
}

/// Frames as they are read: type, stream, payload.
pub(crate) struct Frames(Vec<u8>);

impl Iterator for Frames {
    type Item = (u8, u32, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, _) = self.0.split_first_chunk::<9>()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let length = usize::try_from(length).expect("it fits");
        let (kind, stream) = (head[3], [head[5], head[6], head[7], head[8]]);
        if self.0.len() < 9 + length {
            return None;
        }
        let payload = self.0[9..9 + length].to_vec();
        self.0.drain(..9 + length);
        Some((kind, u32::from_be_bytes(stream), payload))
    }
}

/// Reads to the end; the code of the last `GOAWAY`, where there was one.
pub(crate) async fn farewell(stream: &mut TlsStream<TcpStream>) -> Option<u32> {
    let farewells = Frames(rest(stream).await).filter(|(kind, ..)| *kind == GOAWAY);
    farewells
        .map(|(_, _, payload)| payload[4..8].try_into().expect("four octets"))
        .map(u32::from_be_bytes)
        .last()
}

/// Waits until a frame of this type comes; its payload.
pub(crate) async fn until(stream: &mut TlsStream<TcpStream>, kind: u8) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let mut frames = Frames(read.clone());
        if let Some((.., payload)) = frames.find(|(found, ..)| *found == kind) {
            return payload;
        }
        let length = soon(stream.read_buf(&mut read)).await.expect("frames");
        assert_ne!(length, 0, "it ended");
    }
}
