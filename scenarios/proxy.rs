//! A proxy between the apiserver and its webhook.

use std::borrow::Borrow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use rstest::{Context, rstest};
use serde_json::Value;
use tokenlab_harness::{Lab, SERVICE_NAME};
use tokio::sync::{Mutex, OnceCell};

use crate::lab::attempts::assert_logged;
use crate::lab::connect_proxy::ConnectProxy;
use crate::lab::evidence::Asked;
use crate::lab::rewiring::{Rewired, Turn};
use crate::lab::webhook_file::WebhookFile;
use crate::support::{bare_only, mock};

/// The password that the file's proxy is told.
const PASSWORD: &str = "opensesame";

/// A plane with two proxies on the way: one that the webhook's file may name, and one that the
/// environment of kube-apiserver names.
struct Proxied {
    plane: Rewired,
    of_the_file: ConnectProxy,
    of_the_environment: ConnectProxy,
    /// The webhook by its name, which only proxies can resolve here; without a proxy in the file,
    /// and with one and a password for it.
    by_name: String,
    by_proxy_url: String,
}

impl Borrow<Lab> for Proxied {
    fn borrow(&self) -> &Lab {
        &self.plane
    }
}

async fn proxied() -> Turn<Proxied> {
    static PLANE: OnceCell<Mutex<Proxied>> = OnceCell::const_new();
    let plane = PLANE.get_or_init(async || Mutex::new(Proxied::start().await));
    Turn(plane.await.lock().await)
}

impl Proxied {
    async fn start() -> Self {
        let mut ways = None;
        let plane = Rewired::start(|plan| {
            let webhook: Uri = plan.webhook().url().parse().expect("must be a URL");
            let webhook = webhook.port_u16().expect("must have one");
            let file = ConnectProxy::start(webhook);
            let environment = ConnectProxy::start(webhook);
            let address = format!("127.0.0.1:{}", environment.port());
            plan.env()
                .insert("HTTPS_PROXY".to_owned(), format!("http://{address}"));
            let by_name = || {
                WebhookFile::of(plan)
                    .cluster("server", format!("https://{SERVICE_NAME}/authenticate"))
                    .cluster("tls-server-name", Value::Null)
            };
            let proxy_url = format!("http://lab:{PASSWORD}@127.0.0.1:{}", file.port());
            let by_proxy_url = by_name().cluster("proxy-url", proxy_url).text();
            ways = Some((file, environment, by_name().text(), by_proxy_url.clone()));
            by_proxy_url
        });
        let plane = plane.await;
        let (of_the_file, of_the_environment, by_name, by_proxy_url) = ways.expect("must be there");
        Self {
            plane,
            of_the_file,
            of_the_environment,
            by_name,
            by_proxy_url,
        }
    }

    /// The apiserver is told this of its webhook. Both proxies open tunnels, and no tunnel is open.
    async fn reach_by(&mut self, file: &str) {
        self.plane.reach_by(file).await;
        for proxy in [&mut self.of_the_file, &mut self.of_the_environment] {
            proxy.refuse(None).await;
            proxy.seen();
        }
    }

    async fn reach_by_proxy_url(&mut self) {
        let file = self.by_proxy_url.clone();
        self.reach_by(&file).await;
    }
}

/// `proxy-url` in the webhook's file is the way to it. The proxy gets its user and password,
/// resolves the webhook's name, which the apiserver need not, and sees nothing of the token, for
/// TLS goes through it. `HTTPS_PROXY` in the apiserver's environment counts no more.
///
/// - Source: `client-go/tools/clientcmd/client_config.go` (`ClientConfig`) and
///   `client-go/transport/cache.go` (`get`), v0.37.2
/// - Upstream test: `TestHTTPProxy` (unit; plain HTTP, no CONNECT)
/// - Seen by users: kubernetes/kubernetes#72936, P5
#[rstest]
#[tokio::test]
async fn a_proxy_in_the_file(#[context] context: Context) {
    let mut lab = bare_only!(proxied(), context);
    lab.reach_by_proxy_url().await;
    let token = lab.plane.scripted.token(mock().await);

    let seen = Asked::new(&lab.plane, &lab.plane.scripted, &token).await;

    let seen = seen.forbidden("mock").asked(1);
    let through = lab.of_the_file.seen();
    let [head] = &through.heads[..] else {
        panic!("there must be one tunnel: {seen}");
    };
    let credentials = STANDARD.encode(format!("lab:{PASSWORD}"));
    let name = format!("CONNECT {SERVICE_NAME}:443 HTTP/1.1\r\n");
    // No text: the head has the password.
    assert!(head.starts_with(&name));
    assert!(head.contains(&format!("Proxy-Authorization: Basic {credentials}\r\n")));
    // The handshake's beginning is all that one can read.
    assert!(holds(&through.passed, SERVICE_NAME), "no name of a server");
    assert!(!holds(&through.passed, token.expose()), "the token");
    assert_eq!(lab.of_the_environment.seen().heads, Vec::<String>::new());
}

/// A proxy that is away, or wants more of the apiserver than it gives, is one more way to be
/// Unauthorized without a call of the webhook. The log names the proxy's own answer, and not its
/// password. It is asked again for the next request.
///
/// - Source: Go's `net/http/transport.go` (`dialConn`), Go 1.26
/// - Upstream test: none
#[rstest]
#[case::is_away(None)]
#[case::wants_a_password(Some("407 Proxy Authentication Required"))]
#[case::forbids_it(Some("403 Forbidden"))]
#[case::does_not_get_there(Some("502 Bad Gateway"))]
#[tokio::test]
async fn a_proxy_that_fails(#[context] context: Context, #[case] refusal: Option<&'static str>) {
    let mut lab = bare_only!(proxied(), context);
    lab.reach_by_proxy_url().await;
    match refusal {
        Some(status) => lab.of_the_file.refuse(Some(status)).await,
        None => lab.of_the_file.down().await,
    }

    let seen = lab.plane.asks().await.unauthorized().asked(0);

    assert_logged(&context, &seen);
    assert!(!seen.log.contains(PASSWORD), "the password is in the log");
    lab.of_the_file.refuse(None).await;
    let _ = lab.plane.asks().await.forbidden("mock").asked(1);
}

/// `HTTPS_PROXY` in the environment of kube-apiserver is a proxy for its webhook, too. But never
/// for one at an address of the loopback, which is asked directly whatever that variable says.
///
/// - Source: `apimachinery/pkg/util/net/http.go` (`NewProxierWithNoProxyCIDR`), v0.37.2; Go's
///   `net/http/transport.go` (`ProxyFromEnvironment`), Go 1.26
/// - Upstream test: `TestProxierWithNoProxyCIDR` (unit; which host has a proxy)
#[rstest]
#[tokio::test]
async fn the_proxy_of_the_environment(#[context] context: Context) {
    let mut lab = bare_only!(proxied(), context);
    let file = lab.by_name.clone();
    lab.reach_by(&file).await;
    let _ = lab.plane.asks().await.forbidden("mock").asked(1);
    let heads = lab.of_the_environment.seen().heads;
    assert!(heads[0].starts_with("CONNECT "), "{heads:?}");

    let own = lab.plane.webhook().kubeconfig().yaml();
    assert!(own.contains("https://127.0.0.1:"), "by its address");
    lab.reach_by(&own).await;
    let _ = lab.plane.asks().await.forbidden("mock").asked(1);
    assert_eq!(lab.of_the_environment.seen().heads, Vec::<String>::new());
    assert_eq!(lab.of_the_file.seen().heads, Vec::<String>::new());
}

fn holds(octets: &[u8], word: &str) -> bool {
    let mut windows = octets.windows(word.len());
    windows.any(|window| window == word.as_bytes())
}
