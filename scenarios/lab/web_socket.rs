//! A client of the apiserver that speaks WebSocket, as a browser does.

use http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokenlab_harness::Kubeconfig;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, handshake::client::Response};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::lab::tls_client::connect;

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
    let port = request.uri().port_u16().expect("must have one");
    let stream = connect(port, &apiserver.certificate_authority, "localhost").await;
    match client_async(request, stream.expect("must be accepted")).await {
        Ok(opened) => Ok(opened),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("the apiserver must answer: {error}"),
    }
}
