/// Who has which certificate, and who gets in.
mod clients;
/// What `certs` makes and `serve` takes.
mod program;
/// Files that are replaced while the server runs.
mod reload;
/// Which versions are spoken.
mod versions;

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokenlab_webhook::pki::{Certificate, CertificateAuthority};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::peer::{SERVICE, TUTORIAL, soon};

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// A client that trusts `authority`, with a certificate and its key as PEM, or without.
fn client(authority: &CertificateAuthority, identity: Option<(&str, &str)>) -> Arc<ClientConfig> {
    client_of(authority.certificate_pem(), identity)
}

/// The same, with the authority as PEM.
fn client_of(authority: &str, identity: Option<(&str, &str)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(der(authority)).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            let chain = vec![der(certificate)];
            builder.with_client_auth_cert(chain, key).expect("usable")
        }
    };
    Arc::new(config)
}

fn pem(certificate: &Certificate) -> (&str, &str) {
    (certificate.certificate_pem(), certificate.key_pem())
}

async fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a server");
    let name = ServerName::try_from(SERVICE).expect("a name");
    let connecting = TlsConnector::from(Arc::clone(client)).connect(name, stream);
    soon(connecting).await.expect("a handshake")
}

/// The status line of one review's answer; or what the server said of the client's certificate,
/// which by TLS 1.3 it does when the client is done with the handshake.
async fn review(stream: &mut TlsStream<TcpStream>) -> Result<String, String> {
    let length = TUTORIAL.len();
    let request = format!(
        "POST /authenticate HTTP/1.1\r\nHost: {SERVICE}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{TUTORIAL}"
    );
    // A server that has closed already sent its reason before.
    stream.write_all(request.as_bytes()).await.ok();
    let mut answer = String::new();
    match soon(stream.read_to_string(&mut answer)).await {
        Ok(_) => Ok(answer.lines().next().unwrap_or_default().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn ask(address: SocketAddr, client: &Arc<ClientConfig>) -> Result<String, String> {
    review(&mut connect(address, client).await).await
}

/// The certificate that a server showed.
fn shown(connection: &ClientConnection) -> &CertificateDer<'static> {
    let chain = connection.peer_certificates().expect("a certificate");
    chain.first().expect("a certificate")
}
