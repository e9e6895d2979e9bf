use rstest::rstest;
use tokenlab_webhook::{Authenticator, Decision, Review, RouterBuilder, Routes, User};

use crate::peer::{TUTORIAL, Webhook, certified, exchange};

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
    let own = answer(webhook(), method, path, body, tls).await;
    let axums = answer(webhook().build(), method, path, body, tls).await;
    assert_eq!(own, axums);
    let asked = method == "POST" && path.split('?').next() == Some("/authenticate");
    let decided = own.contains(r#""username":"127.0.0.1""#);
    assert_eq!(decided, asked && body == TUTORIAL, "{own}");
}

/// Heads that a client for HTTP would not send, and how their answers begin.
#[rstest]
#[case::absolute("POST http://localhost/authenticate", JSON, TUTORIAL, "200 OK")]
#[case::encoded("POST /%61uthenticate", JSON, TUTORIAL, "404 Not Found")]
#[case::slashes("POST //authenticate", JSON, TUTORIAL, "404 Not Found")]
#[case::asterisk("OPTIONS *", JSON, TUTORIAL, "404 Not Found")]
#[case::text(
    "POST /authenticate",
    "text/plain",
    TUTORIAL,
    "415 Unsupported Media Type"
)]
#[case::large("POST /authenticate", JSON, LARGE, "413 Payload Too Large")]
#[tokio::test]
async fn both_ways_take_the_same_heads(
    #[case] start: &str,
    #[case] media_type: &str,
    #[case] body: &str,
    #[case] status: &str,
) {
    let length = body.len();
    let request = format!(
        "{start} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {media_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let own = raw(webhook(), &request).await;
    assert_eq!(own, raw(webhook().build(), &request).await);
    assert_eq!(own[0], format!("HTTP/1.1 {status}"));
}

const JSON: &str = "application/json";

/// Larger than [`webhook`] permits.
const LARGE: &str = match str::from_utf8(&[b' '; 1001]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

fn webhook() -> RouterBuilder {
    RouterBuilder::new(Callers).body_limit(1000)
}

/// The lines of an answer but for the date, its head in the alphabet's order.
async fn raw(routes: impl Into<Routes>, request: &str) -> Vec<String> {
    let webhook = Webhook::routed(routes).await;
    let answer = exchange(webhook.address, request).await;
    let mut lines: Vec<_> = (answer.lines().map(str::to_owned))
        .filter(|line| !line.starts_with("date: "))
        .collect();
    let head = lines.iter().position(String::is_empty);
    lines[1..head.expect("a head")].sort();
    lines
}

/// Status, headers but for the date, and body; over TLS by HTTP/2.
async fn answer(
    routes: impl Into<Routes>,
    method: &str,
    path: &str,
    body: &'static str,
    tls: bool,
) -> String {
    let webhook = Webhook::bind(routes, tls.then(certified), |server| server).await;
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
