use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokenlab_webhook::{Authenticator, Decision, Review};
use tokio::io::AsyncWriteExt as _;

use super::raw::{self, END_HEADERS, ENHANCE_YOUR_CALM, HTTP2};
use crate::peer::{TUTORIAL, Webhook, soon};

/// Counts, and never decides.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Authenticator for Counting {
    async fn authenticate(&self, _review: &Review) -> Decision {
        self.0.fetch_add(1, Relaxed);
        std::future::pending().await
    }
}

/// 20,000 streams, each cancelled at once (CVE-2023-44487).
#[tokio::test]
async fn rapid_reset() {
    let counting = Counting::default();
    let webhook = Webhook::start(counting.clone()).await;
    let mut stream = raw::connect(&webhook, HTTP2).await;
    stream.write_all(raw::PREFACE).await.expect("sent");
    let cancelled = (0..20_000).flat_map(|n| {
        let review = raw::review(2 * n + 1);
        let cancel = raw::frame(raw::RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes());
        [review, cancel].concat()
    });
    let cancelled: Vec<u8> = cancelled.collect();
    raw::flood(&mut stream, &cancelled, 1).await;
    assert_eq!(raw::farewell(&mut stream).await, Some(ENHANCE_YOUR_CALM));
    let asked = counting.0.load(Relaxed);
    assert!(asked < 1000, "{asked} of 20,000 came to the authenticator");
}

/// Streams that the server has to reset itself (CVE-2025-8671): their windows grow too large.
#[tokio::test]
async fn made_you_reset() {
    let webhook = Webhook::start(Counting::default()).await;
    let mut stream = raw::connect(&webhook, HTTP2).await;
    stream.write_all(raw::PREFACE).await.expect("sent");
    let broken = (0..20_000).flat_map(|n| {
        let head = raw::frame(raw::HEADERS, END_HEADERS, 2 * n + 1, &raw::head());
        let grow = raw::frame(raw::WINDOW_UPDATE, 0, 2 * n + 1, &[0x7f, 0xff, 0xff, 0xff]);
        [head, grow].concat()
    });
    let broken: Vec<u8> = broken.collect();
    raw::flood(&mut stream, &broken, 1).await;
    assert_eq!(raw::farewell(&mut stream).await, Some(ENHANCE_YOUR_CALM));
}

/// A head that never ends (CVE-2024-27316 and its like).
#[tokio::test]
async fn continuation_flood() {
    let webhook = Webhook::mock().await;
    let mut stream = raw::connect(&webhook, HTTP2).await;
    let begun = raw::frame(raw::HEADERS, 0, 1, &raw::head());
    let begun = [raw::PREFACE, &begun].concat();
    stream.write_all(&begun).await.expect("sent");
    let more = raw::frame(raw::CONTINUATION, 0, 1, &raw::field("x", "y").repeat(1000));
    assert!(raw::flood(&mut stream, &more, 100_000).await, "it must end");
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
}

/// Data frames without data.
#[tokio::test]
async fn empty_data_flood() {
    let webhook = Webhook::mock().await;
    let mut stream = raw::connect(&webhook, HTTP2).await;
    let begun = raw::frame(raw::HEADERS, END_HEADERS, 1, &raw::head());
    let begun = [raw::PREFACE, &begun].concat();
    stream.write_all(&begun).await.expect("sent");
    let empty = raw::frame(raw::DATA, 0, 1, &[]).repeat(1000);
    assert!(raw::flood(&mut stream, &empty, 10_000).await, "it must end");
}

#[tokio::test]
async fn a_head_has_a_size() {
    let webhook = Webhook::mock().await;
    let mut stream = raw::connect(&webhook, HTTP2).await;
    let large = [raw::head(), raw::field("x", &"y".repeat(100)).repeat(200)].concat();
    let (one, other) = large.split_at(16_000);
    let request = [
        raw::PREFACE,
        &raw::frame(raw::HEADERS, 1, 1, one),
        &raw::frame(raw::CONTINUATION, END_HEADERS, 1, other),
    ];
    stream.write_all(&request.concat()).await.expect("sent");
    // `:status`, then 3 octets that are `431` in HPACK's Huffman code.
    let answer = raw::until(&mut stream, raw::HEADERS).await;
    assert_eq!(answer[..5], [0x48, 0x83, 0x69, 0x90, 0xff]);
    // The connection stands.
    stream.write_all(&raw::review(3)).await.expect("sent");
    raw::until(&mut stream, raw::DATA).await;
}

/// One more than there may be is refused, and its client may send it again.
#[tokio::test]
async fn streams_are_limited() {
    let counting = Counting::default();
    let webhook = Webhook::start(counting.clone()).await;
    let mut stream = raw::connect(&webhook, HTTP2).await;
    let many: Vec<u8> = (0..250).flat_map(|n| raw::review(2 * n + 1)).collect();
    let whole = END_HEADERS | raw::END_STREAM;
    let more = raw::frame(raw::HEADERS, whole, 501, &raw::head());
    let all = [raw::PREFACE, &many, &more].concat();
    stream.write_all(&all).await.expect("sent");
    let refused = raw::until(&mut stream, raw::RST_STREAM).await;
    assert_eq!(refused, 7_u32.to_be_bytes(), "REFUSED_STREAM");
    soon(async {
        while counting.0.load(Relaxed) < 250 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
