use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use insta::assert_snapshot;
use reqwest::{Body, Method, Version};
use rstest::rstest;
use serde_json::Value;
use tokenlab_webhook::{ApiVersion, Authenticator, BODY_LIMIT, Decision, Mock, Review, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::peer::{TUTORIAL, Webhook, shown, soon};

/// Answers by a function, and keeps the reviews.
#[derive(Clone)]
struct Scripted {
    answer: fn() -> Decision,
    seen: Arc<Mutex<Vec<Review>>>,
}

impl Scripted {
    fn new(answer: fn() -> Decision) -> Self {
        Self {
            answer,
            seen: Arc::default(),
        }
    }

    fn seen(&self) -> Vec<Review> {
        self.seen.lock().expect("no panic").clone()
    }
}

impl Authenticator for Scripted {
    async fn authenticate(&self, review: &Review) -> Decision {
        self.seen.lock().expect("no panic").push(review.clone());
        (self.answer)()
    }
}

fn review(fields: &str) -> String {
    format!(r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1",{fields}}}"#)
}

#[tokio::test]
async fn the_tutorials_review() {
    let webhook = Webhook::mock().await;
    assert_snapshot!(shown(webhook.post(TUTORIAL).await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"mock","uid":"mock","groups":["group-mock"]}}}
    "#);
}

#[tokio::test]
async fn v1_is_answered_in_v1() {
    let webhook = Webhook::mock().await;
    let body = TUTORIAL.replace("v1beta1", "v1");
    assert_snapshot!(shown(webhook.post(body).await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"mock","uid":"mock","groups":["group-mock"]}}}
    "#);
}

/// What a kube-apiserver sends: before 1.34 with a `creationTimestamp`, then without.
#[rstest]
#[case::before_1_34(r#""metadata":{"creationTimestamp":null},"#)]
#[case::since_1_34(r#""metadata":{},"#)]
#[tokio::test]
async fn an_apiservers_review(#[case] metadata: &str) {
    let authenticator = Scripted::new(|| Decision::authenticated(User::new("ann")));
    let webhook = Webhook::start(authenticator.clone()).await;
    let body = format!(
        "{{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1beta1\",{metadata}\
         \"spec\":{{\"token\":\"t\",\"audiences\":[\"https://kubernetes.default.svc\"]}},\
         \"status\":{{\"user\":{{}}}}}}\n"
    );
    let client = webhook.client().build().expect("a client");
    let before = Instant::now();
    let request = client.post(webhook.url("/authenticate?timeout=5s"));
    let response = request.body(body).send().await.expect("a response");
    let after = Instant::now();
    assert_eq!(response.status(), 200);

    let [review] = &authenticator.seen()[..] else {
        panic!("one call must be one review");
    };
    assert_eq!(review.token.expose(), "t");
    assert_eq!(review.audiences, ["https://kubernetes.default.svc"]);
    assert_eq!(review.api_version, ApiVersion::V1Beta1);
    let deadline = review.deadline.expect("a deadline");
    // A tenth is left for the answer's way.
    let timeout = Duration::from_millis(4500);
    assert!(deadline >= before + timeout && deadline <= after + timeout);
    let caller = review.caller.as_ref().expect("a caller");
    assert!(caller.peer.ip().is_loopback() && caller.peer != webhook.address);
    assert_eq!(caller.common_name, None);
}

/// An apiserver's timeout is longer than the limit.
#[rstest]
#[case::absent("")]
#[case::nonsense("?timeout=soon")]
#[case::none_in_go("?timeout=0s")]
#[case::longer("?timeout=30s")]
#[tokio::test]
async fn the_limit_is_the_deadline(#[case] query: &str) {
    let authenticator = Scripted::new(|| Decision::Refused);
    let webhook = Webhook::start(authenticator.clone()).await;
    let client = webhook.client().build().expect("a client");
    let before = Instant::now();
    let request = client.post(webhook.url(&format!("/authenticate{query}")));
    let response = request.body(TUTORIAL).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    let deadline = authenticator.seen()[0].deadline.expect("a deadline");
    let limit = Duration::from_secs(10);
    assert!(deadline >= before + limit && deadline <= Instant::now() + limit);
}

#[tokio::test]
async fn a_refusal_is_no_error() {
    let webhook = Webhook::start(Scripted::new(|| Decision::Refused)).await;
    assert_snapshot!(shown(webhook.post(TUTORIAL).await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":false}}
    "#);
}

#[tokio::test]
async fn what_cannot_be_decided_is_an_error_in_the_status() {
    let webhook = Webhook::start(Scripted::new(|| Decision::Undecided {
        reason: "the directory does not answer".to_owned(),
    }))
    .await;
    assert_snapshot!(shown(webhook.post(TUTORIAL).await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":false,"error":"the directory does not answer"}}
    "#);
}

#[tokio::test]
async fn audiences_are_intersected() {
    let webhook = Webhook::start(Scripted::new(|| Decision::Authenticated {
        user: User::new("ann"),
        audiences: vec!["a".to_owned(), "b".to_owned()],
    }))
    .await;
    let some = webhook.post(review(r#""spec":{"token":"t","audiences":["b","c"]}"#));
    assert_snapshot!(shown(some.await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"ann"},"audiences":["b"]}}
    "#);
    let none = webhook.post(review(r#""spec":{"token":"t","audiences":["c"]}"#));
    assert_snapshot!(shown(none.await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false}}
    "#);
}

#[rstest]
#[case::empty("", "the body is empty, expected a TokenReview")]
#[case::blank(" \n", "the body is empty, expected a TokenReview")]
#[case::form("token=t", "the body is not one JSON value: line 1 column 2")]
#[case::cut(&TUTORIAL[..60], "the body is not one JSON value: line 1 column 60")]
#[case::trailing_data(
    &format!("{TUTORIAL}{TUTORIAL}"),
    "the body is not one JSON value: line 1 column 108"
)]
#[case::not_utf8(b"{\"kind\":\"TokenReview\xff\"}", "the body is not UTF-8")]
#[case::other_kind(
    r#"{"kind":"SubjectAccessReview","apiVersion":"authentication.k8s.io/v1"}"#,
    "kind is `SubjectAccessReview`, expected `TokenReview`"
)]
#[case::no_kind(
    r#"{"apiVersion":"authentication.k8s.io/v1","spec":{"token":"t"}}"#,
    "kind is missing, expected `TokenReview`"
)]
#[case::unknown_version(
    TUTORIAL.replace("v1beta1", "v2"),
    "apiVersion is `authentication.k8s.io/v2`, \
     expected `authentication.k8s.io/v1` or `authentication.k8s.io/v1beta1`"
)]
#[case::no_group(
    r#"{"kind":"TokenReview","apiVersion":"v1","spec":{"token":"t"}}"#,
    "apiVersion is `v1`, expected `authentication.k8s.io/v1` or `authentication.k8s.io/v1beta1`"
)]
#[case::no_version(
    r#"{"kind":"TokenReview","spec":{"token":"t"}}"#,
    "apiVersion is missing, expected `authentication.k8s.io/v1` or `authentication.k8s.io/v1beta1`"
)]
#[case::no_spec(review(r#""metadata":{}"#), "spec.token is missing or empty")]
#[case::no_token(review(r#""spec":{}"#), "spec.token is missing or empty")]
#[case::empty_token(review(r#""spec":{"token":""}"#), "spec.token is missing or empty")]
#[case::token_is_number(
    review(r#""spec":{"token":1}"#),
    "a field has another type than in a TokenReview, or is there twice: line 1 column 79"
)]
#[tokio::test]
async fn bad_requests(#[case] body: impl AsRef<[u8]>, #[case] message: &str) {
    let authenticator = Scripted::new(|| Decision::Refused);
    let webhook = Webhook::start(authenticator.clone()).await;
    let response = webhook.post(body.as_ref().to_vec()).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["content-type"], "application/json");
    let status: Value = response.json().await.expect("JSON");
    assert_eq!(status["message"], message);
    assert_eq!(status["reason"], "BadRequest");
    assert!(authenticator.seen().is_empty(), "it was no review");
}

#[tokio::test]
async fn a_failure_is_a_status() {
    let webhook = Webhook::mock().await;
    assert_snapshot!(shown(webhook.post("").await).await, @r#"
    400 Bad Request, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"the body is empty, expected a TokenReview","reason":"BadRequest","code":400}
    "#);
}

#[rstest]
#[case::get(Method::GET)]
#[case::put(Method::PUT)]
#[case::delete(Method::DELETE)]
#[case::patch(Method::PATCH)]
#[case::options(Method::OPTIONS)]
#[tokio::test]
async fn other_methods(#[case] method: Method) {
    let webhook = Webhook::mock().await;
    let client = webhook.client().build().expect("a client");
    let request = client.request(method, webhook.url("/authenticate"));
    let response = request.body(TUTORIAL).send().await.expect("a response");
    assert_eq!(response.headers()["allow"], "POST");
    let shown = shown(response).await;
    insta::allow_duplicates!(assert_snapshot!(shown, @r#"
    405 Method Not Allowed, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"this method is not served here, use POST","reason":"MethodNotAllowed","code":405}
    "#));
}

#[rstest]
#[case::root("/")]
#[case::tutorials_mistake("/authorize")]
#[case::below("/authenticate/more")]
#[tokio::test]
async fn other_paths(#[case] path: &str) {
    let webhook = Webhook::mock().await;
    let client = webhook.client().build().expect("a client");
    let request = client.post(webhook.url(path)).body(TUTORIAL);
    let response = request.send().await.expect("a response");
    let shown = shown(response).await;
    insta::allow_duplicates!(assert_snapshot!(shown, @r#"
    404 Not Found, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"nothing is here: send TokenReviews to `/authenticate`","reason":"NotFound","code":404}
    "#));
}

#[tokio::test]
async fn livez() {
    let webhook = Webhook::mock().await;
    let client = webhook.client().build().expect("a client");
    let url = webhook.url("/livez");
    let response = client.get(&url).send().await.expect("a response");
    assert_snapshot!(shown(response).await, @"
    200 OK, text/plain; charset=utf-8
    ok
    ");
    let response = client.post(&url).send().await.expect("a response");
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD");
}

/// A review that ends in spaces, `length` octets in all.
fn padded(length: usize) -> String {
    TUTORIAL.to_owned() + &" ".repeat(length - TUTORIAL.len())
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit() {
    let webhook = Webhook::mock().await;
    let response = webhook.post(padded(BODY_LIMIT)).await;
    assert_eq!(response.status(), 200);
}

/// Its length is not known before its end.
#[rstest]
#[case::fits(BODY_LIMIT, 200)]
#[case::does_not_fit(BODY_LIMIT + 1, 413)]
#[tokio::test]
async fn a_body_in_many_pieces(#[case] length: usize, #[case] status: u16) {
    let webhook = Webhook::mock().await;
    let body = padded(length).into_bytes();
    let pieces: Vec<_> = body
        .chunks(9_999)
        .map(|piece| Ok::<_, io::Error>(piece.to_vec()))
        .collect();
    let response = webhook
        .post(Body::wrap_stream(futures::stream::iter(pieces)))
        .await;
    assert_eq!(response.status(), status);
}

#[rstest]
#[case::announced(true)]
#[case::unannounced(false)]
#[tokio::test]
async fn a_larger_body_is_refused_over_http_2(#[case] announced: bool) {
    let webhook = Webhook::mock().await;
    let body = padded(BODY_LIMIT + 1);
    let body = if announced {
        Body::from(body)
    } else {
        Body::wrap_stream(futures::stream::iter([Ok::<_, io::Error>(body)]))
    };
    let response = webhook.post(body).await;
    assert_eq!(response.version(), Version::HTTP_2);
    let shown = shown(response).await;
    insta::allow_duplicates!(assert_snapshot!(shown, @r#"
    413 Payload Too Large, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"the body is larger than 1048576 octets","reason":"RequestEntityTooLarge","code":413}
    "#));
}

/// Raw octets, so that the answer comes before the body was sent whole: the first body ends
/// before it begins, the second is an endless chunk's beginning.
#[rstest]
#[case::announced(format!("Content-Length: {}\r\n\r\n", BODY_LIMIT + 1))]
#[case::unannounced(format!(
    "Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n{}",
    padded(BODY_LIMIT + 1)
))]
#[tokio::test]
async fn a_larger_body_is_refused_over_http_1(#[case] rest: String) {
    let webhook = Webhook::plain(Mock).await;
    let mut stream = TcpStream::connect(webhook.address).await.expect("a server");
    let head = "POST /authenticate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json";
    let request = format!("{head}\r\n{rest}");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let expected = b"HTTP/1.1 413 Payload Too Large\r\n";
    let mut answer = vec![0; expected.len()];
    soon(stream.read_exact(&mut answer))
        .await
        .expect("an answer");
    assert_eq!(
        String::from_utf8_lossy(&answer),
        String::from_utf8_lossy(expected)
    );
}
