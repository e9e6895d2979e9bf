//! Over its real socket, as the apiserver asks it.

use std::error::Error as _;
use std::time::Instant;

use tokenlab_webhook::Mock;

use super::*;
use crate::journal::Outcome;
use crate::wait::{Poll, Probe, until};

const V1: &str =
    r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"t"}}"#;

fn mock() -> Webhook {
    let webhook = Webhook::serve(BoxAuthenticator::new(Mock));
    webhook.expect("must be served")
}

#[tokio::test]
async fn down_refuses_and_up_is_the_same_webhook_again() {
    let webhook = mock();
    let url = webhook.url();
    for _ in 0..3 {
        webhook.down().await.expect("is its own");
        assert!(!webhook.is_up().await);
        let error = webhook
            .post(V1.to_owned())
            .await
            .expect_err("must be refused");
        let mut causes = std::iter::successors(error.source(), |&error| error.source());
        assert!(
            causes.any(|cause| cause.to_string().contains("Connection refused")),
            "{error:?}"
        );
        webhook.up().await.expect("must listen again");
        let answer = webhook.post(V1.to_owned()).await.expect("must answer");
        assert_eq!(answer.status, http::StatusCode::OK);
    }
    assert_eq!(webhook.url(), url);
}

#[tokio::test]
async fn a_latency_delays() {
    let webhook = mock();
    let latency = Duration::from_millis(30);
    webhook.set_latency(latency).expect("is its own");
    let start = Instant::now();
    webhook.post(V1.to_owned()).await.expect("must answer");
    assert!(start.elapsed() >= latency);
}

#[tokio::test]
async fn the_other_version_is_answered_and_no_longer() {
    let webhook = mock();
    let version = async || {
        let answer = webhook.post(V1.to_owned()).await.expect("must answer");
        let answer: serde_json::Value = serde_json::from_str(&answer.body).expect("must be JSON");
        assert_eq!(answer["status"]["user"]["username"], "mock");
        answer["apiVersion"].clone()
    };
    assert_eq!(version().await, "authentication.k8s.io/v1");
    webhook
        .set_fault(Some(Fault::OtherVersion))
        .expect("is its own");
    assert_eq!(version().await, "authentication.k8s.io/v1beta1");
    webhook.set_fault(None).expect("is its own");
    assert_eq!(version().await, "authentication.k8s.io/v1");
}

#[tokio::test]
async fn down_ends_the_reviews_that_run() {
    let webhook = mock();
    webhook
        .set_latency(Duration::from_secs(60))
        .expect("is its own");
    let asked = webhook.post(V1.to_owned());
    let down = async {
        let poll = Poll {
            every: Duration::from_millis(1),
            within: Duration::from_secs(60),
        };
        let arrived = until("the review runs", poll, async || {
            match webhook.journal().running() {
                0 => Probe::<(), std::convert::Infallible>::NotYet("none does".into()),
                _ => Probe::Ready(()),
            }
        });
        arrived.await.expect("must run");
        webhook.down().await.expect("is its own");
    };
    let (answer, ()) = tokio::join!(asked, down);
    answer.expect_err("must be cut");
    assert_eq!(webhook.journal().running(), 0);
    assert_eq!(webhook.journal().events()[0].outcome, Outcome::Unanswered);
}
