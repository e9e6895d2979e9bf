use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Version};
use rstest::rstest;
use tokenlab_webhook::{Authenticator, Decision, Mock, Review, router};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::peer::{PATIENCE, TUTORIAL, Webhook, soon};

/// Tells when a review has begun, and decides when it is told to.
#[derive(Clone, Default)]
struct Gate {
    entered: Arc<Notify>,
    opened: Arc<Notify>,
    /// Held by a running review.
    running: Arc<()>,
}

impl Authenticator for Gate {
    async fn authenticate(&self, _review: &Review) -> Decision {
        let _running = Arc::clone(&self.running);
        self.entered.notify_one();
        self.opened.notified().await;
        Decision::Refused
    }
}

fn speaking(version: Version, webhook: &Webhook) -> Client {
    let client = match version {
        Version::HTTP_11 => webhook.client().http1_only(),
        _ => webhook.client(),
    };
    client.build().expect("a client")
}

fn post(client: &Client, webhook: &Webhook) -> JoinHandle<reqwest::Result<reqwest::Response>> {
    let request = client.post(webhook.url("/authenticate")).body(TUTORIAL);
    tokio::spawn(request.send())
}

#[rstest]
#[case::http_1(Version::HTTP_11)]
#[case::http_2(Version::HTTP_2)]
#[tokio::test]
async fn a_running_review_is_answered(#[case] version: Version) {
    let gate = Gate::default();
    // Nothing here may end by the limit.
    let limit = PATIENCE * 10;
    let webhook = Webhook::configured(gate.clone(), |server| server.with_drain_limit(limit)).await;
    let address = webhook.address;
    let answer = post(&speaking(version, &webhook), &webhook);
    soon(gate.entered.notified()).await;
    let served = webhook.stop();
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!served.is_finished(), "a review is running");
    gate.opened.notify_one();
    let answer = soon(answer).await.expect("no panic").expect("a response");
    assert_eq!(answer.version(), version);
    assert_eq!(answer.status(), 200);
    soon(served).await.expect("no panic");
}

#[rstest]
#[case::http_1(Version::HTTP_11)]
#[case::http_2(Version::HTTP_2)]
#[tokio::test]
async fn a_review_that_does_not_end_is_dropped(#[case] version: Version) {
    let gate = Gate::default();
    let limit = Duration::from_millis(50);
    let webhook = Webhook::configured(gate.clone(), |server| server.with_drain_limit(limit)).await;
    let answer = post(&speaking(version, &webhook), &webhook);
    soon(gate.entered.notified()).await;
    assert_eq!(
        Arc::strong_count(&gate.running),
        3,
        "server, test and review"
    );
    soon(webhook.stop()).await.expect("no panic");
    assert_eq!(
        Arc::strong_count(&gate.running),
        1,
        "all of the server is gone"
    );
    soon(answer)
        .await
        .expect("no panic")
        .expect_err("no response");
}

#[rstest]
#[case::http_1(Version::HTTP_11)]
#[case::http_2(Version::HTTP_2)]
#[tokio::test]
async fn idle_connections_hold_nothing_up(#[case] version: Version) {
    // Nothing here may end by a limit.
    let limit = PATIENCE * 10;
    let webhook = Webhook::configured(Mock, |server| {
        server.with_drain_limit(limit).with_handshake_limit(limit)
    })
    .await;
    let _handshaking = TcpStream::connect(webhook.address).await.expect("a server");
    // An answer to a later connection: the earlier one was accepted.
    let client = speaking(version, &webhook);
    let answer = post(&client, &webhook).await.expect("no panic");
    answer.expect("a response").bytes().await.expect("a body");
    soon(webhook.stop()).await.expect("no panic");
}

#[tokio::test]
async fn a_silent_connection_holds_nothing_up() {
    // Nothing here may end by the limit.
    let limit = PATIENCE * 10;
    let webhook = Webhook::bind(router(Mock), None, |server| server.with_drain_limit(limit)).await;
    let _silent = TcpStream::connect(webhook.address).await.expect("a server");
    // An answer to a later connection: the earlier one was accepted.
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
    soon(webhook.stop()).await.expect("no panic");
}

#[tokio::test]
async fn a_dropped_server_drops_its_reviews() {
    let gate = Gate::default();
    let webhook = Webhook::start(gate.clone()).await;
    let answer = post(&speaking(Version::HTTP_2, &webhook), &webhook);
    soon(gate.entered.notified()).await;
    webhook.abort().await;
    soon(answer)
        .await
        .expect("no panic")
        .expect_err("no response");
    assert_eq!(
        Arc::strong_count(&gate.running),
        1,
        "all of the server is gone"
    );
}
