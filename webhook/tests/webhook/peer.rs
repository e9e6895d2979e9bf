use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, ClientBuilder, Response};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Authenticator, Mock, RouterBuilder, Routes, Server, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The name that the apiserver asks for, as in the tutorial.
pub(crate) const SERVICE: &str = "my-authn.kube-system.svc";

/// The tutorial's `TokenReview`.
pub(crate) const TUTORIAL: &str = r#"{"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","spec":{"token":"ZGVtbW8tcGFzc3dvcmQ="}}"#;

/// How long anything may take before a test takes it for hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server in this process. It stops when this is dropped.
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Option<String>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Webhook {
    pub(crate) async fn mock() -> Self {
        Self::start(Mock).await
    }

    /// Over TLS, with a certificate for [`SERVICE`].
    pub(crate) async fn start(authenticator: impl Authenticator) -> Self {
        Self::configured(authenticator, |server| server).await
    }

    pub(crate) async fn configured(
        authenticator: impl Authenticator,
        configure: impl FnOnce(Server) -> Server,
    ) -> Self {
        Self::bind(
            RouterBuilder::new(authenticator),
            Some(certified()),
            configure,
        )
        .await
    }

    /// Over TLS, with a certificate of `authority`.
    pub(crate) async fn over(
        authenticator: impl Authenticator,
        tls: Tls,
        authority: &CertificateAuthority,
    ) -> Self {
        let authority = authority.certificate_pem().to_owned();
        Self::bind(
            RouterBuilder::new(authenticator),
            Some((tls, authority)),
            |server| server,
        )
        .await
    }

    pub(crate) async fn plain(authenticator: impl Authenticator) -> Self {
        Self::routed(RouterBuilder::new(authenticator)).await
    }

    /// Over plain HTTP, with routes of one's own.
    pub(crate) async fn routed(routes: impl Into<Routes>) -> Self {
        Self::bind(routes, None, |server| server).await
    }

    /// Over plain HTTP, or over TLS with a certificate of this authority (PEM).
    pub(crate) async fn bind(
        routes: impl Into<Routes>,
        tls: Option<(Tls, String)>,
        configure: impl FnOnce(Server) -> Server,
    ) -> Self {
        let (tls, authority) = tls.unzip();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), tls)
            .await
            .expect("a free port");
        let server = configure(server);
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let routes = routes.into();
        let serving = tokio::spawn(server.serve(routes, async {
            stopped.await.ok();
        }));
        Self {
            address,
            authority,
            stop,
            serving,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        url(path, self.address, self.authority.is_some())
    }

    /// A client that trusts this server's authority alone. Over TLS it speaks HTTP/2.
    pub(crate) fn client(&self) -> ClientBuilder {
        client(self.address, self.authority.as_deref())
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> Response {
        let client = self.client().build().expect("a client");
        let request = client.post(self.url("/authenticate"));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        request.send().await.expect("a response")
    }

    /// Tells the server to stop; its end is the handle's.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).expect("it must be serving");
        self.serving
    }

    /// Drops the server as it runs.
    pub(crate) async fn abort(self) {
        self.serving.abort();
        self.serving.await.expect_err("it must have been serving");
    }
}

pub(crate) fn url(path: &str, address: SocketAddr, tls: bool) -> String {
    if tls {
        format!("https://{SERVICE}:{}{path}", address.port())
    } else {
        format!("http://{address}{path}")
    }
}

/// A client for whom [`SERVICE`] is at `address`, and who trusts `authority` (PEM) alone. It sends
/// JSON unless a request says otherwise.
pub(crate) fn client(address: SocketAddr, authority: Option<&str>) -> ClientBuilder {
    // An error says that another test was first.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let roots =
        authority.map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()).expect("a certificate"));
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Client::builder()
        .no_proxy()
        .default_headers([json].into_iter().collect())
        .resolve(SERVICE, address)
        .tls_certs_only(roots)
        .timeout(PATIENCE)
}

/// Status, content type and body.
pub(crate) async fn shown(response: Response) -> String {
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().expect("ASCII");
    let head = format!("{status}, {kind}");
    format!("{head}\n{}", response.text().await.expect("UTF-8"))
}

/// What is served for [`SERVICE`], and the authority to trust for it (PEM).
pub(crate) fn certified() -> (Tls, String) {
    let authority = CertificateAuthority::new("test").expect("an authority");
    let certificate = authority.serving(&[SERVICE]).expect("a certificate");
    let tls = Tls::from_certificate(&certificate).expect("usable");
    (tls, authority.certificate_pem().to_owned())
}

/// Sends octets over plain TCP, and gives what comes until the server closes.
pub(crate) async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a server");
    let sent = soon(stream.write_all(request.as_ref())).await;
    sent.expect("sent");
    let mut answer = String::new();
    let read = soon(stream.read_to_string(&mut answer)).await;
    read.expect("an answer, and no reset");
    answer
}

/// Waits for what must happen soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it must not hang")
}
