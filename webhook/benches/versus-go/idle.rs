//! Connections that keep quiet.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::case::{Body, HEADERS, TARGET};

/// How many handshakes run at once.
const AT_ONCE: usize = 64;

/// Opens connections, each of which has had one review by HTTP/1.1 and is kept alive.
pub(crate) async fn open(
    address: SocketAddr,
    count: usize,
    authority: &[u8],
) -> anyhow::Result<Vec<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority)?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let body = Body::Small.text();
    let request = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: {address}\r\n{}\r\nContent-Length: {}\r\n\r\n{body}",
        HEADERS.join("\r\n"),
        body.len()
    );
    let connections = futures::stream::iter(0..count)
        .map(|_| connect(address, &connector, &request))
        .buffer_unordered(AT_ONCE);
    let mut open = Vec::with_capacity(count);
    let mut connections = std::pin::pin!(connections);
    while let Some(connection) = connections.next().await {
        let number = open.len() + 1;
        open.push(connection.with_context(|| format!("connection {number}"))?);
    }
    Ok(open)
}

async fn connect(
    address: SocketAddr,
    connector: &TlsConnector,
    request: &str,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::IpAddress(address.ip().into());
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    // Both end in what closes the status: small answers, which come with their length.
    while !whole(&answer) {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("closed before the answer's end");
        }
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        bail!("not answered by 200");
    }
    Ok(stream)
}

/// Whether the answer has come to its end, by its `Content-Length`.
fn whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: usize| body.len() >= length)
}
