//! What the apiserver takes for its webhook, and what its webhook takes for the apiserver: TLS.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use rstest::{Context, rstest};
use serde_json::Value;
use tokenlab_harness::{Break, ConnectionFault, Lab, SERVICE_NAME};
use tokenlab_webhook::pki::CertificateAuthority;

use crate::lab::attempts::{assert_logged, comes_to, errors, passes};
use crate::lab::certificates::{AUTHORITY, Pair, serving, signed_with_sha1, valid};
use crate::lab::counters::Counters;
use crate::lab::evidence::Asked;
use crate::lab::file_plane::{ByFiles, apiservers, by_files};
use crate::lab::serial::{Serial, serial};
use crate::lab::webhook_file::WebhookFile;
use crate::support::{SOON, bare_only, name, skipped};

/// The beginning of a handshake in TLS 1.1, which rustls does not speak: a record with a
/// `ServerHello` (RFC 4346, 7.4.1.3) of version 3.2, without a session, for
/// `TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA`.
fn server_hello_of_tls_1_1() -> Vec<u8> {
    let mut record = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    record.extend([7; 32]);
    record.extend([0, 0xc0, 0x09, 0]);
    record
}

/// What a webhook may show to who connects.
enum Shown {
    /// A certificate of the right authority, with this change.
    Certificate(fn(&mut CertificateParams)),
    /// This one.
    Pair(Pair),
    /// A certificate of another authority, of this name.
    OfAnother(&'static str),
    PlainHttp,
    Tls11,
}

impl Shown {
    async fn by(self, lab: &Lab) {
        let webhook = lab.webhook();
        let authority = webhook.authority().expect("is served here");
        let certificate = match self {
            Self::Certificate(change) => Some(serving(authority, change)),
            Self::Pair(pair) => Some(pair),
            Self::OfAnother(name) => {
                let other = CertificateAuthority::new(name).expect("must be made");
                Some(other.serving(&[SERVICE_NAME]).expect("must be made").into())
            }
            Self::PlainHttp => None,
            Self::Tls11 => {
                let hello = Break::Say(server_hello_of_tls_1_1().into());
                let fault = Some(ConnectionFault::AtHandshake(hello));
                return webhook.break_connections(fault).await.expect("must break");
            }
        };
        let tls = certificate.map(|pair| pair.tls());
        webhook.serve_with(tls).await.expect("must serve");
    }
}

/// A webhook whose TLS does not hold is never asked, and its users are Unauthorized at once: only
/// the apiserver's log tells why. What is mended is mended for the next request, without a restart.
///
/// - Source: Go's `crypto/x509/verify.go` and `crypto/tls/handshake_client.go`, Go 1.26;
///   `client-go/transport/transport.go` (`TLSConfigFor`: TLS 1.2 at the least), v0.37.2
/// - Upstream test: `TestV1TLSConfig`, `TestTLSConfig` (unit; the client alone, by no more than an
///   error or none)
/// - Seen by users: kubernetes-sigs/aws-iam-authenticator#25, kubernetes/minikube#2201, P6, P7
#[rstest]
#[case::of_an_unknown_authority(Shown::OfAnother("somebody-else"))]
#[case::of_another_authority_of_the_same_name(Shown::OfAnother(AUTHORITY))]
#[case::expired(Shown::Certificate(|it| valid(it, -2, -1)))]
#[case::not_yet_valid(Shown::Certificate(|it| valid(it, 1, 2)))]
#[case::for_another_name(Shown::Certificate(|it| {
    it.subject_alt_names = vec![SanType::DnsName("other.svc".try_into().expect("is one"))];
}))]
#[case::for_its_address_alone(Shown::Certificate(|it| {
    it.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
}))]
#[case::for_clients(Shown::Certificate(|it| {
    it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}))]
#[case::plain_http(Shown::PlainHttp)]
#[case::tls_1_1(Shown::Tls11)]
#[tokio::test]
async fn tls_that_does_not_hold(#[context] context: Context, #[case] shown: Shown) {
    let lab = bare_only!(serial(), context);
    shown.by(&lab).await;

    let seen = lab.asks().await.unauthorized().asked(0);

    assert_logged(&context, &seen);
    let webhook = lab.webhook();
    webhook
        .break_connections(None)
        .await
        .expect("must be whole");
    Shown::Certificate(|_| ()).by(&lab).await;
    let _ = lab.asks().await.forbidden("mock").asked(1);
}

/// A certificate whose only name is its common name does not hold since Go 1.15. The apiserver
/// counts it, and its log names the host.
///
/// - Source: `apiserver/pkg/util/x509metrics/server_cert_deprecations.go` and
///   `apiserver/pkg/util/webhook/metrics.go`, v0.37.2
/// - Upstream test: `TestTLSConfig` (unit; the client alone)
/// - Seen by users: linkerd/linkerd2#4945, P6
#[rstest]
#[tokio::test]
async fn a_common_name_alone(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    let shown = Shown::Certificate(|it| it.subject_alt_names.clear());
    given_up_by_go(&context, &lab, shown, "missing-san").await;
}

/// A certificate that is signed with SHA-1 does not hold since Go 1.18. The apiserver counts it,
/// and its log names the host.
///
/// - Source: `apiserver/pkg/util/x509metrics/server_cert_deprecations.go` and
///   `apiserver/pkg/util/webhook/metrics.go`, v0.37.2
/// - Upstream test: `TestTLSConfig` (unit; the client alone)
#[rstest]
#[tokio::test]
async fn a_signature_with_sha_1(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    let authority = lab.webhook().authority().expect("is served here");
    match signed_with_sha1(authority, lab.folder()) {
        Ok(pair) => given_up_by_go(&context, &lab, Shown::Pair(pair), "insecure-sha1").await,
        Err(why) => skipped::skip(&name!(context), &why),
    }
}

/// What does not hold since some version of Go is counted and logged under an id of its own.
async fn given_up_by_go(context: &Context, lab: &Serial, shown: Shown, id: &str) {
    let before = Counters::of(lab).await;
    shown.by(lab).await;

    let seen = lab.asks().await.unauthorized().asked(0);

    assert_logged(context, &seen);
    let line = format!("{id}.invalid-cert.kubernetes.io: invalid certificate detected");
    let line = format!("{line} connecting to \"127.0.0.1\"");
    assert!(seen.log.contains(&line), "{seen}");
    let counter = format!("apiserver_webhooks_x509_{}_total", id.replace('-', "_"));
    let grown = Counters::of(lab).await.since(&before);
    let grown = grown.of("apiserver_webhooks_x509_");
    assert_eq!(grown, [(counter.as_str(), 1)].into(), "{seen}");
}

/// A webhook at an address is taken for its own if its certificate has that address among the
/// subject alternative names; one that has its name alone will not do.
///
/// - Source: Go's `crypto/x509/verify.go` (`VerifyHostname`), Go 1.26
/// - Upstream test: none
/// - Seen by users: kubernetes/kubernetes#72936, kubernetes-sigs/kind#2467, P5
#[rstest]
#[tokio::test]
async fn a_webhook_at_an_address(#[context] context: Context) {
    let lab = bare_only!(by_files(), context);
    lab.serve(lab.first(), None).await;
    let _ = lab.plane.asks().await.forbidden("mock").asked(1);

    Shown::Certificate(|_| ()).by(&lab.plane).await;
    let seen = lab.plane.asks().await.unauthorized().asked(0);
    assert_logged(&context, &seen);
}

/// The apiserver shows its webhook the client certificate of the file, if the webhook asks for one.
///
/// - Source: `client-go/transport/transport.go` (`TLSConfigFor`), v0.37.2
/// - Upstream test: `TestV1TLSConfig` (unit)
#[rstest]
#[tokio::test]
async fn a_client_certificate(#[context] context: Context) {
    let lab = bare_only!(by_files(), context);
    lab.shows(&apiservers(lab.first()));
    lab.takes(lab.first(), "it passes", passes).await;

    lab.serve(lab.first(), None).await;
    let _ = lab.plane.asks().await.forbidden("mock").asked(1);
}

/// What the webhook does not take of the apiserver is one more way to be Unauthorized. In TLS 1.3
/// it says so when for the apiserver the handshake is over: the log has the alert that it sent or,
/// when that comes before the request is on its way, only that HTTP/2
/// `client conn could not be established`.
///
/// - Source: Go's `crypto/tls/alert.go`, Go 1.26
/// - Upstream test: `TestV1TLSConfig` (unit; an authority that the server does not trust)
#[rstest]
#[case::of_another_authority(
    |lab: &ByFiles| apiservers(&lab.second),
    "remote error: tls: unknown certificate authority",
)]
#[case::expired(
    |lab: &ByFiles| serving(lab.first(), |it| {
        it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        valid(it, -2, -1);
    }),
    "remote error: tls: expired certificate",
)]
#[tokio::test]
async fn a_client_certificate_that_is_refused(
    #[context] context: Context,
    #[case] client: fn(&ByFiles) -> Pair,
    #[case] alert: &str,
) {
    let lab = bare_only!(by_files(), context);
    lab.shows(&client(&lab));

    let told = |seen: &Asked| errors(seen).contains(alert);
    let seen = lab.takes(lab.first(), alert, told).await.pop();

    let _ = seen.expect("was asked").unauthorized().asked(0);
}

/// An apiserver that has no certificate to show is refused likewise by a webhook that wants one.
///
/// - Source: Go's `crypto/tls/alert.go`, Go 1.26
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn no_client_certificate(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    let authority = lab.webhook().authority().expect("is served here");
    let tls = serving(authority, |_| ()).mutual(authority);
    lab.webhook()
        .serve_with(Some(tls))
        .await
        .expect("must serve");

    let alert = "remote error: tls: certificate required";
    let attempt = async || lab.asks().await.unauthorized().asked(0);
    comes_to(alert, SOON, attempt, |seen| errors(seen).contains(alert)).await;
}

/// A file that asks for no certificate gets none: by `http://` the token goes in the clear, and
/// with `insecure-skip-tls-verify` to whoever answers. The apiserver starts with both.
///
/// - Source: `client-go/transport/transport.go` (`TLSConfigFor`), v0.37.2
/// - Upstream test: `TestNew` (unit; what the client is made of)
#[rstest]
#[tokio::test]
async fn a_file_that_asks_for_no_certificate(#[context] context: Context) {
    let mut lab = bare_only!(serial(), context);
    let file = || WebhookFile::to(lab.webhook()).cluster("certificate-authority-data", Value::Null);
    let insecure = file().cluster("insecure-skip-tls-verify", true).text();
    let server = lab.webhook().url().replace("https:", "http:");
    let plain = file().cluster("server", server).text();
    Shown::PlainHttp.by(&lab).await;
    lab.with_file(&plain).await;
    let _ = lab.asks().await.forbidden("mock").asked(1);

    Shown::OfAnother("somebody-else").by(&lab).await;
    lab.with_file(&insecure).await;
    let _ = lab.asks().await.forbidden("mock").asked(1);
}
