use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use tokenlab_webhook::{Authenticator, Decision, Limits, Mock, Review, RouterBuilder, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::raw::{self, HTTP1};
use crate::peer::{PATIENCE, TUTORIAL, Webhook, exchange, soon};

/// Keeps the tokens that it is asked about.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Authenticator for Asked {
    async fn authenticate(&self, review: &Review) -> Decision {
        let token = review.token.expose().to_owned();
        self.0.lock().expect("no panic").push(token);
        Decision::Refused
    }
}

/// What a reader in between could take for the end of a body, and another not.
#[rstest]
#[case::length_and_chunks("content-length: {length}\r\ntransfer-encoding: chunked\r\n", "200")]
#[case::chunks_and_length("transfer-encoding: chunked\r\ncontent-length: {length}\r\n", "200")]
#[case::chunks("transfer-encoding: chunked\r\n", "200")]
#[case::two_lengths("content-length: {length}\r\ncontent-length: 5\r\n", "400")]
#[case::list_of_lengths("content-length: {length}, 5\r\n", "400")]
#[case::signed_length("content-length: +{length}\r\n", "400")]
#[case::negative_length("content-length: -1\r\n", "400")]
#[case::hexadecimal_length("content-length: 0x10\r\n", "400")]
#[case::large_length("content-length: 18446744073709551617\r\n", "400")]
#[case::other_coding("transfer-encoding: gzip\r\n", "400")]
#[case::chunks_not_last("transfer-encoding: chunked, identity\r\n", "400")]
#[case::chunks_misspelt("transfer-encoding: xchunked\r\n", "400")]
#[case::space_before_colon("content-length : {length}\r\n", "400")]
#[case::folded("x: y\r\n content-length: 5\r\n", "400")]
#[case::nul("x: \0\r\n", "400")]
#[tokio::test]
async fn nothing_is_smuggled(#[case] fields: &str, #[case] status: &str) {
    let asked = Asked::default();
    let webhook = Webhook::start(asked.clone()).await;
    let smuggled = raw::post();
    let chunks = format!("{:x}\r\n{TUTORIAL}\r\n0\r\n\r\n", TUTORIAL.len());
    let body = format!("{chunks}{smuggled}");
    let fields = fields.replace("{length}", &body.len().to_string());
    let head = "POST /authenticate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let mut stream = raw::connect(&webhook, HTTP1).await;
    let request = format!("{head}{fields}\r\n{body}");
    // It may end before it has read all.
    stream.write_all(request.as_bytes()).await.ok();
    let answer = String::from_utf8(raw::rest(&mut stream).await).expect("UTF-8");
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let asked = asked.0.lock().expect("no panic");
    let expected = usize::from(status == "200");
    assert_eq!(asked.len(), expected, "{asked:?}");
}

#[rstest]
#[case::large("x: {}\r\n", 20_000)]
#[case::many("x: y\r\n{}", 0)]
#[tokio::test]
async fn a_head_has_a_size(#[case] field: &str, #[case] length: usize) {
    let webhook = Webhook::mock().await;
    let fields = match length {
        0 => "x: y\r\n".repeat(200),
        length => field.replace("{}", &"x".repeat(length)),
    };
    let mut stream = raw::connect(&webhook, HTTP1).await;
    let request = format!("POST /authenticate HTTP/1.1\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.ok();
    let answer = String::from_utf8(raw::rest(&mut stream).await).expect("UTF-8");
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

/// It is not waited for.
#[tokio::test]
async fn a_head_without_end() {
    let webhook = Webhook::start(Mock).await;
    let mut stream = raw::connect(&webhook, HTTP1).await;
    stream
        .write_all(b"POST /authenticate HTTP/1.1\r\nx: ")
        .await
        .expect("sent");
    assert!(raw::flood(&mut stream, &[b'x'; 1024], 64 * 1024).await);
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
}

/// More than the sockets on both sides hold.
const LARGE: usize = 6 * 1024 * 1024;

fn large(start: &str) -> Vec<u8> {
    let head = format!("{start} HTTP/1.1\r\nhost: x\r\ncontent-length: {LARGE}\r\n\r\n");
    [head.as_bytes(), &vec![b' '; LARGE]].concat()
}

fn lingering(server: Server) -> Server {
    let mut limits = Limits::default();
    limits.linger = PATIENCE;
    server.with_limits(limits)
}

type Settings = fn(RouterBuilder) -> RouterBuilder;

/// An answer that comes before the body is there reaches also who reads only then.
#[rstest]
#[case::too_large("POST /authenticate", |router: RouterBuilder| router.lenient_content_type(true), "413")]
#[case::no_json("POST /authenticate", |router: RouterBuilder| router, "415")]
#[case::other_path("POST /", |router: RouterBuilder| router, "404")]
#[case::other_method("PUT /authenticate", |router: RouterBuilder| router, "405")]
#[case::too_many("POST /authenticate", |router: RouterBuilder| router.max_in_flight(Some(0)), "429")]
#[case::too_slow(
    "POST /authenticate",
    |router: RouterBuilder| router.lenient_content_type(true).body_limit(LARGE).review_limit(Duration::ZERO),
    "408",
)]
#[tokio::test]
async fn an_early_answer_arrives(
    #[case] start: &str,
    #[case] settings: Settings,
    #[case] status: &str,
) {
    let router = settings(RouterBuilder::new(Mock));
    let webhook = Webhook::bind(router, None, lingering).await;
    let answer = exchange(webhook.address, large(start)).await;
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}

#[tokio::test]
async fn an_early_answer_arrives_over_tls() {
    let webhook = Webhook::configured(Mock, lingering).await;
    let mut stream = raw::connect(&webhook, HTTP1).await;
    let request = large("POST /authenticate");
    soon(stream.write_all(&request)).await.expect("sent");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer))
        .await
        .expect("no reset");
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
}
