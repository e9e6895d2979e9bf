//! The client's side of TLS, for what speaks no HTTP of a crate's making.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connects to this port of 127.0.0.1, whose certificate must be of this authority (PEM) and name, and
/// offers to speak HTTP/1.1.
pub(crate) async fn connect(
    port: u16,
    authority: &str,
    name: &'static str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let authority = CertificateDer::from_pem_slice(authority.as_bytes());
    let mut roots = RootCertStore::empty();
    let added = roots.add(authority.expect("must be PEM"));
    added.expect("must be an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("must have some")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(name).expect("must be a name");
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}
