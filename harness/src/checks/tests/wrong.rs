//! The product's webhook, with a flaw.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokenlab_webhook::{Authenticator, Server, Tls, router};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::made;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::scripted::Scripted;

/// It serves until it is dropped.
pub(super) struct Wrong {
    pub(super) config: Kubeconfig,
    task: AbortHandle,
}

/// An answer.
pub(super) struct Spoilt {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Value,
}

/// What is made of a right answer, by the question's body.
pub(super) type Flaw = fn(&str, &mut Spoilt);

impl Spoilt {
    pub(super) fn authenticated() -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "application/json",
            body: json!({"status": {"authenticated": true, "user": {"username": "ann"}}}),
        }
    }

    pub(super) fn is_refusal(&self) -> bool {
        self.status == StatusCode::OK && self.body["status"]["authenticated"] != true
    }

    /// In the status of a review; what is none is left as it is.
    pub(super) fn says(&mut self, field: &str, value: Value) {
        if let Some(status) = self.body["status"].as_object_mut() {
            status.insert(field.to_owned(), value);
        }
    }

    pub(super) fn fails_where(&mut self, fails: bool) {
        if fails {
            self.status = StatusCode::UNAUTHORIZED;
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A file that leads nowhere.
pub(super) fn nowhere() -> Kubeconfig {
    config("localhost:1", "")
}

fn config(address: &str, certificate_authority: &str) -> Kubeconfig {
    Kubeconfig {
        cluster: "webhook".to_owned(),
        user: "apiserver".to_owned(),
        server: format!("https://{address}{}", tokenlab_webhook::PATH),
        certificate_authority: certificate_authority.to_owned(),
        tls_server_name: Some("localhost".to_owned()),
        identity: Identity::Anonymous,
    }
}

impl Wrong {
    pub(super) async fn serve(authenticator: Scripted, flaw: Flaw) -> Self {
        let (certificate, key) = made(|_| {});
        let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes()).expect("must be served");
        Self::serve_with(authenticator, flaw, tls, &certificate).await
    }

    pub(super) async fn serve_with(
        authenticator: impl Authenticator,
        flaw: Flaw,
        tls: Tls,
        authority: &str,
    ) -> Self {
        let router = router(authenticator).layer(from_fn_with_state(flaw, spoilt));
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Some(tls)).await;
        let server = server.expect("must listen");
        let config = config(&server.local_addr().to_string(), authority);
        let task = tokio::spawn(server.serve(router, std::future::pending())).abort_handle();
        Self { config, task }
    }

    /// One that speaks this protocol alone.
    pub(super) async fn speaking(protocol: &'static [u8]) -> Self {
        let (certificate, key) = made(|_| {});
        let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("must be PEM");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("must be PEM");
        crate::runtime::install_crypto_provider();
        let mut tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("must be served");
        tls.alpn_protocols = vec![protocol.to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("must listen");
        let address = listener.local_addr().expect("must be known").to_string();
        let router = router(Scripted::new());
        let serve = serve_only(listener, TlsAcceptor::from(Arc::new(tls)), router);
        Self {
            config: config(&address, &certificate),
            task: tokio::spawn(serve).abort_handle(),
        }
    }
}

async fn serve_only(listener: TcpListener, tls: TlsAcceptor, router: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, router) = (tls.clone(), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // A handshake that fails is one of the things that are checked.
            if let Ok(stream) = tls.accept(stream).await {
                let builder = Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), router).await;
            }
        });
    }
}

async fn spoilt(State(flaw): State<Flaw>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let asked = to_bytes(body, usize::MAX).await.expect("must come");
    let request = Request::from_parts(head, Body::from(asked.clone()));
    let (head, body) = next.run(request).await.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("must be whole");
    let mut answer = Spoilt {
        status: head.status,
        content_type: "application/json",
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    flaw(&String::from_utf8_lossy(&asked), &mut answer);
    let content_type = [(CONTENT_TYPE, answer.content_type)];
    (answer.status, content_type, answer.body.to_string()).into_response()
}
