//! Webhooks that take their time, or give none.

use std::time::Duration;

use socket2::SockRef;
use tokenlab_webhook::{Authenticator, Decision, Review, Tls, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::super::malformed;
use super::super::subject::Subject;
use super::wrong::Wrong;
use super::{Checks, Not, Outcome, failed, made, outcome};
use crate::scripted::Scripted;
use crate::webhook::Webhook;

#[tokio::test]
async fn who_hangs_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await;
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
    let patience = Duration::from_secs(2);
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

/// Something before a webhook that resets the first connection when it has brought more than a review,
/// and either passes on all others or is gone by then.
async fn resets_one(webhook: &Webhook, goes_on: bool) -> Subject {
    /// A handshake takes less.
    const MORE: usize = 64 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("must listen");
    let mut config = webhook.kubeconfig();
    let behind = Url::parse(&config.server).expect("is one");
    let behind = behind.socket_addrs(|| None).expect("is an address")[0];
    let mut before = Url::parse(&config.server).expect("is one");
    let port = listener.local_addr().expect("must be known").port();
    before.set_port(Some(port)).expect("has a host");
    config.server = before.into();
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.expect("must come");
        let mut server = TcpStream::connect(behind).await.expect("must listen");
        let (mut question, mut answer) = ([0; 4096], [0; 4096]);
        let mut passed = 0;
        while passed < MORE {
            tokio::select! {
                some = first.read(&mut question) => {
                    let some = some.expect("must be read");
                    server.write_all(&question[..some]).await.expect("must be taken");
                    passed += some;
                }
                some = server.read(&mut answer) => {
                    let some = some.expect("must be read");
                    first.write_all(&answer[..some]).await.expect("must be taken");
                }
            }
        }
        SockRef::from(&first)
            .set_linger(Some(Duration::ZERO))
            .expect("must be set");
        drop(first);
        if !goes_on {
            return;
        }
        loop {
            let (mut client, _) = listener.accept().await.expect("must come");
            let mut server = TcpStream::connect(behind).await.expect("must listen");
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    Subject::new(Checks::against(&config))
}

#[tokio::test]
async fn what_closes_before_it_has_read_all_has_a_limit() {
    let webhook = Webhook::scripted(Scripted::new()).expect("must be served");
    let subject = resets_one(&webhook, true).await;
    let seen = malformed::too_large(&subject).await;
    assert!(
        matches!(&seen, Ok(seen) if seen == "it closes the connection"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn what_ends_by_it_has_none() {
    let webhook = Webhook::scripted(Scripted::new()).expect("must be served");
    let subject = resets_one(&webhook, false).await;
    let seen = malformed::too_large(&subject).await;
    assert!(
        matches!(&seen, Err(Not::But(seen)) if seen.ends_with("and answers no more")),
        "{seen:?}"
    );
    let seen = malformed::too_large(&subject).await;
    assert!(
        matches!(&seen, Err(Not::But(seen)) if !seen.contains("closes")),
        "{seen:?}"
    );
}
