//! The product's own webhook passes each check, and for each there is a webhook that does not.

mod patience;
mod wrong;

use std::collections::BTreeSet;

use http::StatusCode;
use rcgen::{CertificateParams, DnType, KeyPair};
use rstest::rstest;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Decision, Tls, User};

use super::certificate::Presented;
use super::subject::Reply;
use super::*;
use crate::kubeconfig::Identity;
use crate::scripted::Scripted;
use wrong::{Flaw, Spoilt, Wrong};

/// What each flaw makes of a right answer, and the checks that it does not pass.
const FLAWS: &[(&[&str], Flaw)] = &[
    (&["v1beta1"], |_, answer| {
        answer.body["apiVersion"] = json!("authentication.k8s.io/v1");
    }),
    (&["v1"], |_, answer| {
        answer.body["apiVersion"] = json!("authentication.k8s.io/v1beta1");
    }),
    (&["version-and-kind"], |_, answer| {
        answer.body = json!({"status": answer.body["status"]});
    }),
    (&["older-apiserver"], |asked, answer| {
        answer.fails_where(asked.contains("creationTimestamp"));
    }),
    (&["newer-apiserver"], |asked, answer| {
        if asked.contains("notYetThought") {
            answer.says("authenticated", json!(false));
        }
    }),
    (&OF_WHO_IS_KNOWN, |_, answer| {
        if !answer.is_refusal() {
            answer.says("user", json!({"username": "ann", "extra": {"team": "a"}}));
        }
    }),
    (&["known-token"], |_, answer| {
        answer.says("user", json!({}));
    }),
    (&REFUSALS, |_, answer| {
        answer.fails_where(answer.is_refusal());
    }),
    (&["refusal-without-error"], |_, answer| {
        if answer.is_refusal() {
            answer.body["status"]["error"] = json!("no such token");
        }
    }),
    (&["refusal-names-nobody"], |_, answer| {
        answer.says("user", json!({"username": "ann"}));
    }),
    (&["empty-token"], |asked, answer| {
        if asked.contains(r#""token":"""#) {
            *answer = Spoilt::authenticated();
        }
    }),
    (&["large-token"], |asked, answer| {
        answer.fails_where(asked.len() > 4096 && answer.is_refusal());
    }),
    (&["escaped-token"], |asked, answer| {
        answer.fails_where(asked.contains("\\u00"));
    }),
    (&["token-not-repeated"], |asked, answer| {
        let asked: Value = serde_json::from_str(asked).unwrap_or_default();
        answer.body["spec"] = asked["spec"].clone();
    }),
    (&["audiences"], |_, answer| {
        answer.says("audiences", json!(["somebody-else"]));
    }),
    (&["content-type"], |_, answer| {
        answer.content_type = "text/plain";
    }),
    (&ANYBODY, |_, answer| *answer = Spoilt::authenticated()),
    (&EVERYTHING, |_, answer| {
        if answer.status != StatusCode::OK {
            answer.status = StatusCode::OK;
            answer.body = json!({"status": {"authenticated": false}});
        }
    }),
];

/// What a webhook does not pass whose answers are no TokenReviews to kube-apiserver when somebody
/// is known.
const OF_WHO_IS_KNOWN: [&str; 10] = [
    "v1beta1",
    "v1",
    "version-and-kind",
    "older-apiserver",
    "newer-apiserver",
    "known-token",
    "escaped-token",
    "token-not-repeated",
    "audiences",
    "together",
];

/// What a webhook does not pass that refuses by a status of HTTP.
const REFUSALS: [&str; 5] = [
    "refusal",
    "refusal-without-error",
    "refusal-names-nobody",
    "large-token",
    "together",
];

/// And one that authenticates whatever it is sent.
const ANYBODY: [&str; 14] = [
    "version-and-kind",
    "refusal",
    "refusal-without-error",
    "refusal-names-nobody",
    "empty-token",
    "large-token",
    "together",
    "method",
    "path",
    "question-garbage",
    "question-kind",
    "question-version",
    "question-content-type",
    "question-too-large",
];

/// And one that understands whatever it is sent.
const EVERYTHING: [&str; 7] = [
    "method",
    "path",
    "question-garbage",
    "question-kind",
    "question-version",
    "question-content-type",
    "question-too-large",
];

/// The checks that fail for other reasons than answers: each has a test below.
const OTHERS: &[&str] = &[
    "answers",
    "certificate-lasts",
    "certificate-name",
    "certificate-signature",
    "certificate-time",
    "client-certificate",
    "http1",
    "http2",
    "in-time",
];

impl Reply {
    /// A good one, of this body.
    fn of(body: &Value) -> Self {
        Self {
            status: StatusCode::OK,
            version: http::Version::HTTP_2,
            content_type: "application/json".to_owned(),
            body: body.to_string(),
        }
    }
}

fn failed(findings: &[Finding]) -> Vec<&str> {
    let failed = findings.iter().filter(|finding| finding.has_failed());
    failed.map(|finding| finding.name).collect()
}

fn outcome<'a>(findings: &'a [Finding], name: &str) -> &'a Outcome {
    let found = findings.iter().find(|finding| finding.name == name);
    &found.expect("must be in the table").result
}

#[tokio::test]
async fn the_product_passes() {
    let scripted = Scripted::new();
    let known = scripted.token(Decision::authenticated(User::new("ann")));
    let right = Wrong::serve(scripted, |_, _| {}).await;
    let checks = Checks::against(&right.config).known(known).audiences(["a"]);
    let findings = checks.run().await;
    for finding in &findings {
        let expected = match finding.name {
            "client-certificate" => matches!(finding.result, Outcome::Skipped { .. }),
            _ => matches!(finding.result, Outcome::Passed { .. }),
        };
        assert!(expected, "{finding}");
    }
    assert_eq!(findings.len(), CHECKS.len());
}

#[tokio::test]
async fn no_check_is_passed_by_every_webhook() {
    for (names, flaw) in FLAWS {
        let scripted = Scripted::new();
        let known = scripted.token(Decision::authenticated(User::new("ann")));
        let wrong = Wrong::serve(scripted, *flaw).await;
        let checks = Checks::against(&wrong.config).known(known.clone());
        let findings = checks.run().await;
        assert_eq!(failed(&findings), *names, "{findings:#?}");
        let told = serde_json::to_string(&findings).expect("must serialise");
        assert!(!told.contains(known.expose()), "{told}");
    }
    let tested = FLAWS.iter().flat_map(|(names, _)| *names).chain(OTHERS);
    let all: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(tested.copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(all.len(), CHECKS.len(), "each name is one check's");
}

/// A certificate that is its own authority, changed by the test.
fn made(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("must be a name");
    change(&mut params);
    let key = KeyPair::generate().expect("must be made");
    let certificate = params.self_signed(&key).expect("must be made");
    (certificate.pem(), key.serialize_pem())
}

#[rstest]
#[case::common_name_only("certificate-name", |params: &mut CertificateParams| {
    params.subject_alt_names.clear();
    params.distinguished_name.push(DnType::CommonName, "localhost");
})]
#[case::of_another_name("certificate-name", |params: &mut CertificateParams| {
    *params = CertificateParams::new(["example.org".to_owned()]).expect("must be a name");
})]
#[case::expired("certificate-time", |params: &mut CertificateParams| {
    params.not_after = OffsetDateTime::now_utc() - Duration::DAY;
})]
#[case::not_yet_valid("certificate-time", |params: &mut CertificateParams| {
    params.not_before = OffsetDateTime::now_utc() + Duration::DAY;
})]
#[case::soon_over("certificate-lasts", |params: &mut CertificateParams| {
    params.not_after = OffsetDateTime::now_utc() + Duration::HOUR;
})]
#[tokio::test]
async fn a_certificate(#[case] name: &str, #[case] change: fn(&mut CertificateParams)) {
    let (certificate, key) = made(change);
    let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes()).expect("must be served");
    let wrong = Wrong::serve_with(Scripted::new(), |_, _| {}, tls, &certificate).await;
    let findings = Checks::against(&wrong.config).run().await;
    assert!(failed(&findings).contains(&name), "{findings:#?}");
    let answers = matches!(outcome(&findings, "answers"), Outcome::Passed { .. });
    assert_eq!(answers, name == "certificate-lasts", "{findings:#?}");
}

/// Made by `openssl req -x509 -sha1 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=sha1`.
const SHA1: &str = "-----BEGIN CERTIFICATE-----\n\
    MIIBcDCCARigAwIBAgIUMbP1JgMtKSqkHdPAVMCrsA9DZWYwCQYHKoZIzj0EATAP\n\
    MQ0wCwYDVQQDDARzaGExMB4XDTI2MTEyNjE3NTczMloXDTI2MTIyNjE3NTczMlow\n\
    DzENMAsGA1UEAwwEc2hhMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPPml8ot\n\
    dLePoDktszRoaW2KaVsIIA8PCMU78q83MCkIsM7TYvJ1FhW1ifYnx3341gOyzWlh\n\
    I2wTGoVh/I4bRV2jUzBRMB0GA1UdDgQWBBTqZnb/lYHjIJnpYWiiuHup5GeURTAf\n\
    BgNVHSMEGDAWgBTqZnb/lYHjIJnpYWiiuHup5GeURTAPBgNVHRMBAf8EBTADAQH/\n\
    MAkGByqGSM49BAEDRwAwRAIgcGCZlcY7MQXOwN1M6LpFDqtyidndaWVhHVQgpeKd\n\
    toECIEKaUIEuQwp1m91IVMIXicjrJb7BSRJKiHc5sGJFOkBN\n\
    -----END CERTIFICATE-----";

#[test]
fn a_certificate_signed_by_sha1() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let der = CertificateDer::from_pem_slice(SHA1.as_bytes()).expect("must be PEM");
    let certificate = Presented::read("sha1", &der, false).expect("must be read");
    let but = certificate.signature().expect_err("must not pass");
    assert!(
        matches!(&but, Not::But(but) if but.contains("SHA-1")),
        "{but:?}"
    );
    let pinned = Presented::read("sha1", &der, true).expect("must be read");
    pinned.signature().expect("must pass");
}

#[rstest]
#[case::http1("http2", b"http/1.1")]
#[case::http2("http1", b"h2")]
#[tokio::test]
async fn only(#[case] lacks: &str, #[case] protocol: &'static [u8]) {
    let wrong = Wrong::speaking(protocol).await;
    let findings = Checks::against(&wrong.config).run().await;
    assert_eq!(failed(&findings), [lacks], "{findings:#?}");
}

#[rstest]
#[case::whoever_asks(false)]
#[case::no_caller_without_a_certificate(true)]
#[tokio::test]
async fn answered_is(#[case] wanted: bool) {
    let authority = CertificateAuthority::new("clients").expect("must be made");
    let client = authority.client("apiserver", &[]).expect("must be made");
    let (certificate, key) = made(|_| {});
    let mut tls = Tls::builder(certificate.as_bytes(), key.as_bytes());
    if wanted {
        tls = tls.client_ca(authority.certificate_pem().as_bytes());
    }
    let tls = tls.build().expect("must be served");
    let mut wrong = Wrong::serve_with(Scripted::new(), |_, _| {}, tls, &certificate).await;
    wrong.config.identity = Identity::from(&client);
    let findings = Checks::against(&wrong.config).run().await;
    let passed = matches!(
        outcome(&findings, "client-certificate"),
        Outcome::Passed { .. }
    );
    assert_eq!(passed, wanted, "{findings:#?}");
    assert!(!wanted || failed(&findings).is_empty(), "{findings:#?}");
}

#[rstest]
#[case::status(json!("authenticated"), "status")]
#[case::authenticated(json!({"authenticated": "true"}), "status.authenticated")]
#[case::audiences(json!({"authenticated": true, "audiences": "a"}), "status.audiences")]
#[case::error(json!({"error": {"code": 1}}), "status.error")]
#[case::user(json!({"user": "ann"}), "status.user")]
#[case::uid(json!({"user": {"username": "ann", "uid": 7}}), "status.user.uid")]
#[case::groups(json!({"user": {"username": "ann", "groups": "dev"}}), "status.user.groups")]
#[case::extra(json!({"user": {"extra": {"team": "a"}}}), "status.user.extra")]
fn a_field_of_another_type(#[case] status: Value, #[case] field: &str) {
    let but = Reply::of(&json!({ "status": status })).review();
    let expected = format!("`{field}` is of another type");
    assert!(
        matches!(&but, Err(Not::But(but)) if *but == expected),
        "{but:?}"
    );
}

#[rstest]
#[case::nothing(json!({}))]
#[case::null(json!({"status": null}))]
#[case::nulls(json!({"status": {
    "authenticated": null, "audiences": null, "error": null,
    "user": {"uid": null, "groups": null, "extra": null},
}}))]
#[case::unknown(json!({"status": {"mood": "good", "user": {"age": 42}}}))]
fn what_the_apiserver_reads_is_read(#[case] body: Value) {
    let read = Reply::of(&body).review();
    assert!(read.is_ok(), "{read:?}");
}

#[rstest]
#[case::no_url(|config: &mut Kubeconfig| config.server = "out of order".to_owned())]
#[case::no_scheme(|config: &mut Kubeconfig| config.server = "webhook:443/x".to_owned())]
#[case::no_name(|config: &mut Kubeconfig| config.tls_server_name = Some("a b".to_owned()))]
#[case::a_bare_address(|config: &mut Kubeconfig| config.tls_server_name = Some("::1".to_owned()))]
#[tokio::test]
async fn what_cannot_be_reached_fails(#[case] spoil: fn(&mut Kubeconfig)) {
    let mut wrong = Wrong::serve(Scripted::new(), |_, _| {}).await;
    spoil(&mut wrong.config);
    let findings = Checks::against(&wrong.config).run().await;
    assert_eq!(failed(&findings), ["answers"], "{findings:#?}");
}

#[tokio::test]
async fn where_nobody_answers_the_rest_is_skipped() {
    let mut nowhere = Wrong::serve(Scripted::new(), |_, _| {})
        .await
        .config
        .clone();
    let port = crate::ports::Port::reserve().expect("must be had");
    nowhere.server = format!("https://localhost:{}/authenticate", port.number());
    let findings = Checks::against(&nowhere).run().await;
    assert_eq!(failed(&findings), ["answers"]);
    let skipped = |finding: &&Finding| matches!(finding.result, Outcome::Skipped { .. });
    assert_eq!(findings.iter().filter(skipped).count(), CHECKS.len() - 1);
}

#[test]
fn a_finding_is_told_in_words() {
    let check = &CHECKS[0];
    let subject = Subject::new(Checks::against(&wrong::nowhere()).known(Token::from("canary-1")));
    let told = check.found(Err(Not::But("canary-1 is said".to_owned())), &subject);
    let expected = format!(
        "failed   certificate-name (must): {}; but [the token] is said\n         {}",
        check.what, check.why
    );
    assert_eq!(told.to_string(), expected);
    let told = check.found(Ok("x".repeat(1000)), &subject);
    assert_eq!(told.to_string().matches('x').count(), SHOWN);
}
