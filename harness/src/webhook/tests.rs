//! Over its real socket, as the apiserver asks it.

use std::error::Error as _;
use std::time::Instant;

use serde_json::json;
use tokenlab_webhook::{BODY_LIMIT, Decision, Mock, PATH, Token, User};

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
        assert!(!webhook.is_up().await.expect("is its own"));
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
async fn an_answer_without_an_end_is_not_taken() {
    let authority = CertificateAuthority::new("tokenlab-webhook").expect("must be made");
    let certificate = authority.serving(&[SERVICE_NAME]).expect("must be made");
    let tls = Tls::from_certificate(&certificate).expect("must be usable");
    let answer = async || " ".repeat(BODY_LIMIT + 1);
    let served = Served::start(axum::Router::new().fallback(answer), tls);
    let served = served.expect("must be served");
    let url = format!("https://127.0.0.1:{}/", served.port());
    let config = config(url, authority.certificate_pem());
    let error = post::post(&config, V1.to_owned()).await;
    assert!(matches!(error, Err(PostError::TooLarge)), "{error:?}");
}

#[tokio::test]
async fn what_has_no_script_is_on_record_as_it_came() {
    let scripted = Scripted::new();
    let webhook = Webhook::scripted(scripted.clone()).expect("must be served");
    webhook.post(V1.to_owned()).await.expect("must answer");
    let calls = scripted.calls(&Token::from("t"));
    let posted = calls[0].posted.as_ref().expect("must be on record");
    assert_eq!(posted.path, PATH);
    assert_eq!(posted.body["spec"]["token"], "[token]");
}

#[tokio::test]
async fn of_one_that_is_elsewhere_nothing_is_known() {
    let authority = CertificateAuthority::new("somebody").expect("must be made");
    let url = "https://127.0.0.1:1/".parse().expect("is one");
    let elsewhere = Elsewhere::new(&url, authority.certificate_pem()).expect("is usable");
    let webhook = Webhook::elsewhere(&elsewhere.probe(false), ApiVersion::V1).await;
    let webhook = webhook.expect("must not be asked");
    let told = webhook.is_up().await.expect_err("is not its own");
    let said = "the webhook at `https://127.0.0.1:1/` is not served by the lab: it cannot be asked how it is";
    assert_eq!(told.to_string(), said);
    webhook.latency().expect_err("is not its own");
    webhook.fault().expect_err("is not its own");
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

/// What is only about to be closed is so in many a round.
#[tokio::test]
async fn down_closes_what_a_fault_keeps_open() {
    use std::io::Write as _;
    let webhook = mock();
    let hang = ConnectionFault::AtHandshake(Break::Hang);
    let broken = webhook.break_connections(Some(hang)).await;
    broken.expect("is its own");
    let port = webhook.here(ASKED).expect("is its own").served.port();
    let poll = Poll {
        every: Duration::from_millis(1),
        within: Duration::from_secs(60),
    };
    for round in 1..=20 {
        webhook.up().await.expect("must listen");
        let client = std::net::TcpStream::connect(("127.0.0.1", port));
        let mut client = client.expect("must be accepted");
        client.write_all(b"hello").expect("must be sent");
        let hangs = until("it hangs", poll, async || {
            match webhook.broken().expect("is its own").len() {
                some if some == round => Probe::<_, std::convert::Infallible>::Ready(()),
                _ => Probe::NotYet("nothing came".into()),
            }
        });
        hangs.await.expect("must come");
        assert_eq!(open(port), 1);
        webhook.down().await.expect("is its own");
        assert_eq!(open(port), 0);
    }
}

/// How many connections of a port of ours are open by what the kernel says of this side: the client
/// may hear of it later.
fn open(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("must be read");
    let port = format!(":{port:04X}");
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().is_some_and(|local| local.ends_with(&port));
        local && fields.nth(1) == Some(ESTABLISHED)
    };
    table.lines().filter(is_open).count()
}

/// As kube-apiserver does: `wiring` of the scenarios shows it.
#[tokio::test]
async fn a_question_goes_to_the_cleaned_path_and_shows_the_files_token() {
    let inner = Scripted::new();
    let webhook = Webhook::scripted(Scripted::over(inner.clone())).expect("must be served");
    let token = inner.token(Decision::authenticated(User::new("ann")));
    let mut config = webhook.kubeconfig();
    config.server = config
        .server
        .replace(PATH, "//./authenticate/?tenant=one#two");
    config.identity = Identity::Token(Token::from("the apiserver's"));
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": token.expose()}});

    let answer = post::post(&config, question.to_string()).await;
    let port = webhook.here(ASKED).expect("is its own").served.port();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    let stream = stream.expect("must be accepted");
    let through = post_through(stream, &config, question.to_string(), &Seen::default()).await;

    // Whose script is behind another one's.
    for answer in [answer, through] {
        let answer = answer.expect("must answer");
        assert!(answer.body.contains("ann"), "{}", answer.body);
    }
    let calls = inner.calls(&token);
    assert_eq!(calls.len(), 2);
    for call in &calls {
        let posted = call.posted.as_ref().expect("must be on record");
        assert_eq!(posted.path, PATH);
    }
    let posted = calls[0].posted.as_ref().expect("must be on record");
    assert_eq!(posted.headers["authorization"], "Bearer the apiserver's");
}
