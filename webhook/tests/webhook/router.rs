use std::fmt::Write as _;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use reqwest::{Client, Response};
use rstest::rstest;
use tokenlab_webhook::{
    Authenticator, BoxAuthenticator, Decision, Ended, Mock, Observer, Review, RouterBuilder, User,
};
use tokio::sync::{Semaphore, mpsc};

use crate::peer::{PATIENCE, TUTORIAL, Webhook, exchange, shown, soon};

/// Answers by a function.
struct Answering(fn() -> Decision);

impl Authenticator for Answering {
    async fn authenticate(&self, _review: &Review) -> Decision {
        (self.0)()
    }
}

/// Never answers.
struct Silent;

impl Authenticator for Silent {
    async fn authenticate(&self, _review: &Review) -> Decision {
        pending().await
    }
}

/// Says that it was asked, and never answers.
struct Asked(mpsc::UnboundedSender<()>);

impl Authenticator for Asked {
    async fn authenticate(&self, _review: &Review) -> Decision {
        self.0.send(()).expect("a listener");
        pending().await
    }
}

/// Answers once for each permit.
struct Gate(Arc<Semaphore>);

impl Authenticator for Gate {
    async fn authenticate(&self, _review: &Review) -> Decision {
        self.0.acquire().await.expect("open").forget();
        Decision::Refused
    }
}

/// Panics at the token `panic`, with the token in what it says.
struct Panicking;

impl Authenticator for Panicking {
    async fn authenticate(&self, review: &Review) -> Decision {
        let token = review.token.expose();
        assert_ne!(token, "panic", "{token}");
        Decision::Refused
    }
}

/// Passes on what it is told, as a line.
struct Told(mpsc::UnboundedSender<String>);

impl Observer for Told {
    fn started(&self) {
        self.0.send("started".to_owned()).expect("a listener");
    }

    fn ended(&self, request: &Ended<'_>) {
        let mut line = request.outcome.to_string();
        if let Some(code) = request.code {
            write!(line, " {}", code.as_u16()).expect("a string");
        }
        for part in [
            request.review.map(|review| review.api_version.as_str()),
            request.user.map(|user| user.username.as_str()),
            request.reason,
        ] {
            write!(line, ", {}", part.unwrap_or("-")).expect("a string");
        }
        assert!(request.duration < PATIENCE);
        self.0.send(line).expect("a listener");
    }
}

fn told() -> (Told, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Told(sender), receiver)
}

async fn post(webhook: &Webhook, path: &str) -> Response {
    let client = webhook.client().build().expect("a client");
    let request = client.post(webhook.url(path)).body(TUTORIAL);
    request.send().await.expect("a response")
}

/// `curl -d` says that it sends a form.
#[rstest]
#[case::curls(Some("application/x-www-form-urlencoded"))]
#[case::none(None)]
#[tokio::test]
async fn another_content_type(#[case] value: Option<&str>) {
    let ask = async |lenient| {
        let router = RouterBuilder::new(Mock).lenient_content_type(lenient);
        let webhook = Webhook::routed(router).await;
        let client = Client::builder().no_proxy().build().expect("a client");
        let mut request = client.post(webhook.url("/authenticate")).body(TUTORIAL);
        if let Some(value) = value {
            request = request.header("content-type", value);
        }
        request.send().await.expect("a response")
    };
    assert_eq!(ask(true).await.status(), 200);
    let refused = ask(false).await;
    assert_eq!(refused.status(), 415);
    let found = value.map_or("missing".to_owned(), |value| format!("`{value}`"));
    let message = format!("content type is {found}, send `Content-Type: application/json`");
    let status: serde_json::Value = refused.json().await.expect("JSON");
    assert_eq!(status["message"], message);
    assert_eq!(status["reason"], "UnsupportedMediaType");
}

#[rstest]
#[case::none(None, None)]
#[case::whole_seconds(Some(Duration::from_secs(2)), Some("2"))]
#[case::rounded_up(Some(Duration::from_millis(1)), Some("1"))]
#[tokio::test]
async fn what_may_be_asked_again(#[case] delay: Option<Duration>, #[case] header: Option<&str>) {
    let ask = async |answer| {
        let router = RouterBuilder::new(Answering(answer)).retry_after(delay);
        let response = post(&Webhook::routed(router).await, "/authenticate").await;
        let found = response.headers().get("retry-after");
        assert_eq!(found.map(|value| value.to_str().expect("ASCII")), header);
        shown(response).await
    };
    let overloaded = ask(|| Decision::Overloaded {
        reason: "all connections are in use".to_owned(),
    })
    .await;
    insta::allow_duplicates!(assert_snapshot!(overloaded, @r#"
    429 Too Many Requests, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"all connections are in use","reason":"TooManyRequests","code":429}
    "#));
    let unavailable = ask(|| Decision::Unavailable {
        reason: "the directory is down".to_owned(),
    })
    .await;
    insta::allow_duplicates!(assert_snapshot!(unavailable, @r#"
    503 Service Unavailable, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"the directory is down","reason":"ServiceUnavailable","code":503}
    "#));
}

#[rstest]
#[case::overloaded(|| Decision::Overloaded { reason: String::new() }, "has too much to do")]
#[case::unavailable(|| Decision::Unavailable { reason: String::new() }, "is not available")]
#[tokio::test]
async fn no_reason_is_empty(#[case] answer: fn() -> Decision, #[case] message: &str) {
    let response = post(&Webhook::plain(Answering(answer)).await, "/authenticate").await;
    let status: serde_json::Value = response.json().await.expect("JSON");
    assert_eq!(status["message"], format!("the authenticator {message}"));
}

#[tokio::test]
async fn nothing_else_may_be_asked_again() {
    let second = Some(Duration::from_secs(1));
    let router = RouterBuilder::new(Mock).retry_after(second);
    let webhook = Webhook::routed(router).await;
    for path in ["/authenticate", "/else"] {
        let response = post(&webhook, path).await;
        assert_eq!(response.headers().get("retry-after"), None, "{path}");
    }
}

#[tokio::test]
async fn an_authenticator_may_take_as_long_as_the_limit() {
    let limit = Duration::from_millis(5);
    let router = RouterBuilder::new(Silent).review_limit(limit);
    let webhook = Webhook::routed(router).await;
    assert_snapshot!(shown(post(&webhook, "/authenticate?timeout=30s").await).await, @r#"
    503 Service Unavailable, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"the authenticator did not answer within 5ms","reason":"ServiceUnavailable","code":503}
    "#);
}

/// It is answered while its caller still waits.
#[tokio::test]
async fn an_authenticator_may_take_as_long_as_its_caller_waits() {
    let webhook = Webhook::plain(Silent).await;
    assert_snapshot!(shown(post(&webhook, "/authenticate?timeout=50ms").await).await, @r#"
    503 Service Unavailable, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"the authenticator did not answer within 45ms","reason":"ServiceUnavailable","code":503}
    "#);
}

#[tokio::test]
async fn a_body_may_take_as_long_as_the_limit() {
    let limit = Duration::from_millis(5);
    let router = RouterBuilder::new(Mock).review_limit(limit);
    let webhook = Webhook::routed(router).await;
    let head = "POST /authenticate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\n\r\n{";
    // It closes the connection: the rest of the body may still come.
    let answer = exchange(webhook.address, head).await;
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("the body did not come within 5ms"),
        "{answer}"
    );
}

#[tokio::test]
async fn more_reviews_than_may_be_in_flight() {
    let gate = Arc::new(Semaphore::new(0));
    let (observer, mut told) = told();
    let router = RouterBuilder::new(Gate(gate.clone()))
        .max_in_flight(Some(1))
        .observer(observer);
    let webhook = Webhook::routed(router).await;
    let first = post(&webhook, "/authenticate");
    let second = async {
        assert_eq!(soon(told.recv()).await.as_deref(), Some("started"));
        let second = shown(post(&webhook, "/authenticate").await).await;
        gate.add_permits(1);
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.status(), 200);
    assert_snapshot!(second, @r#"
    429 Too Many Requests, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"too many reviews are in flight","reason":"TooManyRequests","code":429}
    "#);
    gate.add_permits(1);
    assert_eq!(post(&webhook, "/authenticate").await.status(), 200);
}

/// The text of the panic has the token in it, and nobody sees it.
#[tokio::test]
async fn a_panic_is_an_answer() {
    let (observer, mut told) = told();
    let router = RouterBuilder::new(Panicking).observer(observer);
    let webhook = Webhook::routed(router).await;
    let client = webhook.client().build().expect("a client");
    let ask = async |token: &str| {
        let body = TUTORIAL.replace("ZGVtbW8tcGFzc3dvcmQ=", token);
        let request = client.post(webhook.url("/authenticate")).body(body);
        shown(request.send().await.expect("a response")).await
    };
    assert_snapshot!(ask("panic").await, @r#"
    500 Internal Server Error, application/json
    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"the authenticator panicked","reason":"InternalError","code":500}
    "#);
    assert!(ask("else").await.starts_with("200 OK"), "it must live on");
    told.close();
    let mut lines = Vec::new();
    told.recv_many(&mut lines, 10).await;
    assert_snapshot!(lines.join("\n"), @"
    started
    panicked 500, authentication.k8s.io/v1beta1, -, the authenticator panicked
    started
    refused 200, authentication.k8s.io/v1beta1, -, -
    ");
}

#[tokio::test]
async fn reserved_names() {
    let masters = || Decision::authenticated(User::new("ann").with_group("system:masters"));
    let webhook = Webhook::plain(Answering(masters)).await;
    assert_snapshot!(shown(post(&webhook, "/authenticate").await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":false,"error":"the authenticator named the reserved group \"system:masters\""}}
    "#);
    let router = RouterBuilder::new(Answering(masters)).allow_reserved(true);
    let webhook = Webhook::routed(router).await;
    assert_snapshot!(shown(post(&webhook, "/authenticate").await).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"ann","groups":["system:masters"]}}}
    "#);
}

#[tokio::test]
async fn a_body_limit_of_ones_own() {
    let router = RouterBuilder::new(Mock).body_limit(TUTORIAL.len());
    let webhook = Webhook::routed(router).await;
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
    assert_eq!(webhook.post(format!("{TUTORIAL} ")).await.status(), 413);
}

#[rstest]
#[case::authenticated(
    BoxAuthenticator::new(Mock),
    "authenticated 200, authentication.k8s.io/v1beta1, mock, -"
)]
#[case::undecided(
    BoxAuthenticator::new(Answering(|| Decision::Undecided { reason: "no".to_owned() })),
    "undecided 200, authentication.k8s.io/v1beta1, -, no"
)]
#[case::unavailable(
    BoxAuthenticator::new(Answering(|| Decision::Unavailable { reason: "no".to_owned() })),
    "unavailable 503, authentication.k8s.io/v1beta1, -, no"
)]
#[case::overloaded(
    BoxAuthenticator::new(Answering(|| Decision::Overloaded { reason: "no".to_owned() })),
    "overloaded 429, authentication.k8s.io/v1beta1, -, no"
)]
#[case::timed_out(
    BoxAuthenticator::new(Silent),
    "timed_out 503, authentication.k8s.io/v1beta1, -, \
     the authenticator did not answer within 45ms"
)]
#[tokio::test]
async fn reviews_are_observed(#[case] authenticator: BoxAuthenticator, #[case] line: &str) {
    let (observer, mut told) = told();
    let router = RouterBuilder::new(authenticator).observer(observer);
    let webhook = Webhook::routed(router).await;
    post(&webhook, "/authenticate?timeout=50ms").await;
    assert_eq!(told.recv().await.as_deref(), Some("started"));
    assert_eq!(told.recv().await.as_deref(), Some(line));
}

#[tokio::test]
async fn what_is_no_review_is_observed() {
    let (observer, mut told) = told();
    let webhook = Webhook::routed(RouterBuilder::new(Mock).observer(observer)).await;
    let client = webhook.client().build().expect("a client");
    webhook.post("[]").await;
    client
        .get(webhook.url("/authenticate"))
        .send()
        .await
        .expect("a response");
    client
        .get(webhook.url("/else"))
        .send()
        .await
        .expect("a response");
    client
        .get(webhook.url("/livez"))
        .send()
        .await
        .expect("a response");
    told.close();
    let mut lines = Vec::new();
    told.recv_many(&mut lines, 10).await;
    assert_snapshot!(lines.join("\n"), @"
    started
    malformed 400, -, -, a field has another type than in a TokenReview, or is there twice: line 1 column 0
    started
    malformed 405, -, -, this method is not served here, use POST
    started
    malformed 404, -, -, nothing is here: send TokenReviews to `/authenticate`
    ");
}

#[tokio::test]
async fn a_caller_that_goes_away_is_observed() {
    let (observer, mut told) = told();
    let (sender, mut asked) = mpsc::unbounded_channel();
    let router = RouterBuilder::new(Asked(sender)).observer(observer);
    let webhook = Webhook::routed(router).await;
    let client = webhook.client().build().expect("a client");
    let request = client.post(webhook.url("/authenticate")).body(TUTORIAL);
    let asking = tokio::spawn(request.send());
    soon(asked.recv()).await.expect("a review");
    asking.abort();
    assert_eq!(told.recv().await.as_deref(), Some("started"));
    let line = "abandoned, authentication.k8s.io/v1beta1, -, -";
    assert_eq!(soon(told.recv()).await.as_deref(), Some(line));
}
