//! A webhook answers the same by its own routes as by axum's.

use rstest::rstest;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Authenticator, Decision, Review, RouterBuilder, Routes, Tls, User};

use crate::peer::{SERVICE, TUTORIAL, Webhook};

/// Names the user after who asks.
struct Callers;

impl Authenticator for Callers {
    async fn authenticate(&self, review: &Review) -> Decision {
        let caller = review.caller.as_ref().expect("a server must say who asks");
        Decision::authenticated(User::new(caller.peer.ip().to_string()))
    }
}

#[rstest]
#[case::review("POST", "/authenticate")]
#[case::query("POST", "/authenticate?timeout=30s")]
#[case::method("GET", "/authenticate")]
#[case::head("HEAD", "/authenticate")]
#[case::slash("POST", "/authenticate/")]
#[case::elsewhere("POST", "/else")]
#[case::alive("GET", "/livez")]
#[case::alive_post("POST", "/livez")]
#[tokio::test]
async fn both_ways_answer_the_same(
    #[case] method: &str,
    #[case] path: &str,
    #[values(TUTORIAL, "[]")] body: &'static str,
    #[values(false, true)] tls: bool,
) {
    let webhook = RouterBuilder::new(Callers);
    let own = answer(webhook, method, path, body, tls).await;
    let axums = answer(RouterBuilder::new(Callers).build(), method, path, body, tls).await;
    assert_eq!(own, axums);
    let decided = path.starts_with("/authenticate?") && body == TUTORIAL;
    assert!(
        !decided || own.contains(r#""username":"127.0.0.1""#),
        "{own}"
    );
}

/// Status, headers but for the date, and body; over TLS by HTTP/2.
async fn answer(
    routes: impl Into<Routes>,
    method: &str,
    path: &str,
    body: &'static str,
    tls: bool,
) -> String {
    let tls = tls.then(|| {
        let authority = CertificateAuthority::new("test").expect("an authority");
        let certificate = authority.serving(&[SERVICE]).expect("a certificate");
        let tls = Tls::from_certificate(&certificate).expect("usable");
        (tls, authority.certificate_pem().to_owned())
    });
    let webhook = Webhook::bind(routes, tls, |server| server).await;
    let client = webhook.client().build().expect("a client");
    let method = method.parse().expect("a method");
    let asking = client.request(method, webhook.url(path));
    let asking = asking.header("content-type", "application/json").body(body);
    let mut response = asking.send().await.expect("a response");
    response.headers_mut().remove("date").expect("a date");
    let head = format!(
        "{:?} {}\n{:#?}",
        response.version(),
        response.status(),
        response.headers()
    );
    head + "\n" + &response.text().await.expect("a body")
}
