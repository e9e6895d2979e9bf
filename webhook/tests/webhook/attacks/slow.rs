use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use tokenlab_webhook::{Authenticator, Decision, Limits, Mock, Review, User};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use super::raw::{self, HTTP1, HTTP2};
use crate::peer::{PATIENCE, TUTORIAL, Webhook};

/// So short that no test waits for it, and so long that none is cut off by it.
const SHORT: Duration = Duration::from_secs(2);

/// Nothing here ends by a limit but by the one that is set.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.head = PATIENCE * 10;
    limits.idle = PATIENCE * 10;
    limits
}

async fn with(limits: Limits) -> Webhook {
    Webhook::configured(Mock, |server| server.with_limits(limits)).await
}

#[tokio::test]
async fn a_head_has_a_limit_however_it_drips() {
    let mut limits = limits();
    limits.head = SHORT;
    let webhook = with(limits).await;
    let mut idle = raw::connect(&webhook, HTTP1).await;
    let mut used = raw::connect(&webhook, HTTP1).await;
    used.write_all(raw::post().as_bytes()).await.expect("sent");
    assert!(raw::answer(&mut used).await.contains("200 OK"));
    let mut slow = raw::connect(&webhook, HTTP1).await;
    let begin = b"POST /authenticate HTTP/1.1\r\nx: ";
    slow.write_all(begin).await.expect("sent");
    raw::drip(&mut slow, b'x').await;
    // Those that were silent for longer are not slow.
    for stream in [&mut idle, &mut used] {
        let post = raw::post();
        stream.write_all(post.as_bytes()).await.expect("sent");
        assert!(raw::answer(stream).await.contains("200 OK"));
    }
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let mut limits = limits();
    limits.idle = SHORT;
    let webhook = with(limits).await;
    let mut http1 = raw::connect(&webhook, HTTP1).await;
    let mut http2 = raw::connect(&webhook, HTTP2).await;
    http2.write_all(raw::PREFACE).await.expect("sent");
    assert_eq!(raw::rest(&mut http1).await, b"");
    // It says so, and waits for those who may have sent something in the meantime.
    let farewell = raw::until(&mut http2, raw::GOAWAY).await;
    assert_eq!(farewell[4..8], [0; 4], "no error");
}

/// It takes several headers' worth of time, and no request ever begins.
#[tokio::test]
async fn an_unfinished_http2_head_is_no_request() {
    let mut limits = limits();
    limits.idle = SHORT;
    limits.drain = SHORT;
    let webhook = with(limits).await;
    let mut slow = raw::connect(&webhook, HTTP2).await;
    let begun = raw::frame(raw::HEADERS, 0, 1, &raw::head());
    slow.write_all(&[raw::PREFACE, &begun].concat())
        .await
        .expect("sent");
    raw::rest(&mut slow).await;
}

/// Decides when it is told to.
#[derive(Clone, Default)]
struct Gate {
    entered: Arc<Notify>,
    opened: Arc<Notify>,
}

impl Authenticator for Gate {
    async fn authenticate(&self, _review: &Review) -> Decision {
        self.entered.notify_one();
        self.opened.notified().await;
        Decision::Refused
    }
}

#[rstest]
#[case::http_1(HTTP1)]
#[case::http_2(HTTP2)]
#[tokio::test]
async fn a_running_review_is_not_idle(#[case] alpn: &[u8]) {
    let gate = Gate::default();
    let mut limits = limits();
    limits.idle = SHORT;
    limits.head = SHORT;
    let webhook = Webhook::configured(gate.clone(), |server| server.with_limits(limits)).await;
    let request = match alpn {
        HTTP1 => raw::post().into_bytes(),
        _ => [raw::PREFACE, &raw::review(1)].concat(),
    };
    // On a machine that has much to do, a connection may end before it has asked.
    let mut running = loop {
        let mut running = raw::connect(&webhook, alpn).await;
        running.write_all(&request).await.ok();
        tokio::select! {
            biased;
            () = gate.entered.notified() => break running,
            _ = raw::rest(&mut running) => {}
        }
    };
    // Opened later, ended earlier.
    let mut idle = raw::connect(&webhook, HTTP1).await;
    assert_eq!(raw::rest(&mut idle).await, b"");
    gate.opened.notify_one();
    match alpn {
        HTTP1 => assert!(raw::answer(&mut running).await.contains("200 OK")),
        _ => drop(raw::until(&mut running, raw::DATA).await),
    }
}

/// Answers with much.
struct Loquacious;

impl Authenticator for Loquacious {
    async fn authenticate(&self, _review: &Review) -> Decision {
        let much = "x".repeat(100 * 1024);
        Decision::authenticated(User::new("ann").with_extra("example.com/much", [much]))
    }
}

/// One that asks and asks, and takes no answer.
#[rstest]
#[case::http_1(HTTP1)]
#[case::http_2(HTTP2)]
#[tokio::test]
async fn a_client_that_does_not_read_ends(#[case] alpn: &[u8]) {
    let mut limits = limits();
    limits.idle = SHORT;
    limits.head = SHORT;
    limits.drain = SHORT;
    let webhook = Webhook::configured(Loquacious, |server| server.with_limits(limits)).await;
    let mut deaf = raw::connect(&webhook, alpn).await;
    let (first, again) = if alpn == HTTP1 {
        (Vec::new(), raw::post().repeat(100).into_bytes())
    } else {
        // No octet of an answer's body may be sent.
        let no_window = raw::frame(raw::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        let reviews: Vec<u8> = (0..100).flat_map(|n| raw::review(2 * n + 1)).collect();
        let first = [raw::PREFACE, &no_window, &reviews].concat();
        (first, raw::frame(raw::PING, 0, 0, &[0; 8]))
    };
    deaf.write_all(&first).await.expect("sent");
    assert!(raw::flood(&mut deaf, &again, usize::MAX).await);
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
}
