//! A client of the apiserver that speaks WebSocket, as a browser does.

use std::sync::Arc;

use http::Uri;
use http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokenlab_harness::Kubeconfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, handshake::client::Response};
use tokio_tungstenite::{WebSocketStream, client_async};

/// One that is open.
pub(crate) type WebSocket = WebSocketStream<TlsStream<TcpStream>>;

/// Opens one at this path, and offers these subprotocols; when it is refused, the HTTP status.
pub(crate) async fn open(
    apiserver: &Kubeconfig,
    path: &str,
    subprotocols: &str,
) -> Result<(WebSocket, Response), u16> {
    let url = format!("{}{path}", apiserver.server.replace("https", "wss"));
    let mut request = url.into_client_request().expect("must be a request");
    let headers = request.headers_mut();
    let subprotocols = subprotocols.parse().expect("must be a header's value");
    headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocols);
    // A browser always sends one, and Go's `websocket.Handler` wants it.
    headers.insert(ORIGIN, "https://example.org".parse().expect("is one"));
    let stream = connect(apiserver, request.uri()).await;
    match client_async(request, stream).await {
        Ok(opened) => Ok(opened),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("the apiserver must answer: {error}"),
    }
}

async fn connect(apiserver: &Kubeconfig, url: &Uri) -> TlsStream<TcpStream> {
    let authority = CertificateDer::from_pem_slice(apiserver.certificate_authority.as_bytes());
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.expect("must be PEM"))
        .expect("must be one");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("must have some")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = url.host().expect("must have one").to_owned();
    let port = url.port_u16().expect("must have one");
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let name = ServerName::try_from(host).expect("must be a name");
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream.expect("must listen")).await;
    stream.expect("must speak TLS")
}
