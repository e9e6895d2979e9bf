//! Webhooks that take their time, or give none.

use std::time::Duration;

use tokenlab_webhook::{Authenticator, Decision, Review, Tls, Token};

use super::super::malformed;
use super::super::subject::Subject;
use super::wrong::Wrong;
use super::{Checks, Not, Outcome, failed, made, outcome};
use crate::scripted::Scripted;
use crate::webhook::{Break, ConnectionFault, Webhook};

#[tokio::test]
async fn who_hangs_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("must listen");
    let mut hangs = Wrong::serve(Scripted::new(), |_, _| {}).await;
    let address = listener.local_addr().expect("must be known");
    hangs.config.server = format!("https://{address}/");
    let checks = Checks::against(&hangs.config).patience(Duration::from_millis(50));
    let findings = checks.run().await;
    assert_eq!(failed(&findings), ["answers"], "{findings:#?}");
    let seen = outcome(&findings, "answers");
    assert!(
        matches!(seen, Outcome::Failed { seen } if seen.contains("within 100ms")),
        "{seen:?}"
    );
}

/// Takes its time for each long token, and for ever for each that is known.
struct Slow;

const LATE: Duration = Duration::from_millis(3100);

impl Authenticator for Slow {
    async fn authenticate(&self, review: &Review) -> Decision {
        match review.token.expose() {
            "known" => std::future::pending().await,
            // The delay is the fault.
            long if long.len() > 4096 => tokio::time::sleep(LATE).await,
            _ => {}
        }
        Decision::Refused
    }
}

async fn slow() -> Wrong {
    let (certificate, key) = made(|_| {});
    let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes()).expect("must be served");
    Wrong::serve_with(Slow, |_, _| {}, tls, &certificate).await
}

#[tokio::test]
async fn an_answer_that_comes_late_is_one() {
    let slow = slow().await;
    let patience = Duration::from_secs(3);
    let findings = Checks::against(&slow.config).patience(patience).run().await;
    assert_eq!(failed(&findings), ["in-time"], "{findings:#?}");
}

#[tokio::test]
async fn all_of_them_have_an_end() {
    let slow = slow().await;
    let patience = Duration::from_secs(1);
    let checks = Checks::against(&slow.config).patience(patience);
    let findings = checks.known(Token::from("known")).run().await;
    let failed = failed(&findings);
    assert!(failed.starts_with(&["v1beta1", "v1"]), "{findings:#?}");
    assert!(failed.ends_with(&["in-time"]), "{findings:#?}");
    let skipped = outcome(&findings, "question-too-large");
    assert!(
        matches!(skipped, Outcome::Skipped { because } if because.contains("took the time")),
        "{skipped:?}"
    );
}

#[tokio::test]
async fn what_closes_before_it_has_read_all_has_a_limit() {
    let webhook = Webhook::scripted(Scripted::new()).expect("must be served");
    let fault = ConnectionFault::AtRequest(Break::Reset);
    let broken = webhook.break_connections(Some(fault)).await;
    broken.expect("is its own");
    let subject = Subject::new(Checks::against(&webhook.kubeconfig()));
    let seen = malformed::too_large(&subject).await;
    assert!(
        matches!(&seen, Ok(seen) if seen == "it closes the connection"),
        "{seen:?}"
    );
    webhook.down().await.expect("is its own");
    let seen = malformed::too_large(&subject).await;
    assert!(matches!(seen, Err(Not::But(_))), "{seen:?}");
}
