use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Version;
use rstest::rstest;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Authenticator, Decision, Mock, Review};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::peer::{TUTORIAL, Webhook, client, soon};

#[rstest]
#[case::http_1(Version::HTTP_11)]
#[case::http_2(Version::HTTP_2)]
#[tokio::test]
async fn both_versions_over_tls(#[case] version: Version) {
    let webhook = Webhook::mock().await;
    let client = match version {
        Version::HTTP_11 => webhook.client().http1_only(),
        _ => webhook.client(),
    };
    let client = client.build().expect("a client");
    // Twice, so that the connection is used again.
    for _ in 0..2 {
        let request = client.post(webhook.url("/authenticate")).body(TUTORIAL);
        let response = request.send().await.expect("a response");
        assert_eq!(response.version(), version);
        assert_eq!(response.status(), 200);
    }
}

#[rstest]
#[case::http_1(Version::HTTP_11)]
#[case::http_2(Version::HTTP_2)]
#[tokio::test]
async fn both_versions_without_tls(#[case] version: Version) {
    let webhook = Webhook::plain(Mock).await;
    let client = match version {
        Version::HTTP_11 => webhook.client(),
        _ => webhook.client().http2_prior_knowledge(),
    };
    let client = client.build().expect("a client");
    let request = client.post(webhook.url("/authenticate")).body(TUTORIAL);
    let response = request.send().await.expect("a response");
    assert_eq!(response.version(), version);
    assert_eq!(response.status(), 200);
}

/// Keeps the task of each review.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<tokio::task::Id>>>);

impl Authenticator for Tasks {
    async fn authenticate(&self, _review: &Review) -> Decision {
        // Others come in between.
        tokio::task::yield_now().await;
        self.0.lock().expect("no panic").push(tokio::task::id());
        Decision::Refused
    }
}

/// And its task: that is what ends them all with it.
#[tokio::test]
async fn many_reviews_share_a_connection() {
    let tasks = Tasks::default();
    let webhook = Webhook::start(tasks.clone()).await;
    let client = webhook.client().build().expect("a client");
    let post = || {
        let request = client.post(webhook.url("/authenticate")).body(TUTORIAL);
        async { request.send().await.expect("a response").status() }
    };
    // The first one makes the connection that the others find.
    assert_eq!(soon(post()).await, 200);
    let answers = soon(futures::future::join_all((0..200).map(|_| post()))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    let tasks = tasks.0.lock().expect("no panic");
    assert_eq!(tasks.len(), 201);
    assert!(tasks.iter().all(|task| *task == tasks[0]), "{tasks:?}");
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_authority_gets_no_answer() {
    let webhook = Webhook::mock().await;
    let stranger = CertificateAuthority::new("stranger").expect("an authority");
    let suspicious = client(webhook.address, Some(stranger.certificate_pem()));
    let suspicious = suspicious.build().expect("a client");
    let request = suspicious.post(webhook.url("/authenticate")).body(TUTORIAL);
    let error = request.send().await.expect_err("no trust");
    assert!(error.is_connect(), "{error:?}");
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    assert_eq!(
        webhook.post(TUTORIAL).await.status(),
        200,
        "others are served"
    );
}

/// Served one after the other, the last would wait for 10 s at least.
#[tokio::test]
async fn a_slow_handshake_blocks_nobody() {
    let webhook = Webhook::mock().await;
    let _silent = TcpStream::connect(webhook.address).await.expect("a server");
    let client = webhook.client().timeout(Duration::from_secs(8));
    let client = client.build().expect("a client");
    let request = client.post(webhook.url("/authenticate")).body(TUTORIAL);
    assert_eq!(request.send().await.expect("a response").status(), 200);
}

#[tokio::test]
async fn a_handshake_has_a_limit() {
    let limit = Duration::from_millis(50);
    let webhook = Webhook::configured(Mock, |server| server.with_handshake_limit(limit)).await;
    let mut silent = TcpStream::connect(webhook.address).await.expect("a server");
    let end = soon(silent.read(&mut [0])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "it was not sent anything");
    assert_eq!(
        webhook.post(TUTORIAL).await.status(),
        200,
        "others are served"
    );
}
