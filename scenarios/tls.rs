//! What the apiserver takes for its webhook, and what its webhook takes for the apiserver: TLS.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::{Break, ConnectionFault, Lab, SERVICE_NAME};
use tokenlab_webhook::pki::CertificateAuthority;

use crate::by_files::{ByFiles, apiservers, by_files};
use crate::certificates::{AUTHORITY, Pair, serving, signed_with_sha1, valid};
use crate::evidence::Asked;
use crate::reached::{SOON, comes_to, counted, errors, passes};
use crate::rewired::{file, port};
use crate::serial::serial;
use crate::support::{assert_reviewed, bare_only, name, skipped};

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
    /// The same, right but for its signature.
    SignedWithSha1,
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
            Self::SignedWithSha1 => Some(signed_with_sha1(authority, lab.folder())),
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

    assert_reviewed!(context, errors(&seen));
    let webhook = lab.webhook();
    webhook
        .break_connections(None)
        .await
        .expect("must be whole");
    Shown::Certificate(|_| ()).by(&lab).await;
    let _ = lab.asks().await.forbidden("mock").asked(1);
}

/// What Go has given up does not hold either: a certificate whose only name is its common name (since
/// Go 1.15), and one that is signed with SHA-1 (since 1.18). The apiserver counts both, and its log
/// names the host.
///
/// - Source: `apiserver/pkg/util/x509metrics/server_cert_deprecations.go` and
///   `apiserver/pkg/util/webhook/metrics.go`, v0.37.2
/// - Upstream test: `TestTLSConfig` (unit; the client alone)
/// - Seen by users: linkerd/linkerd2#4945, P6
#[rstest]
#[case::a_common_name_alone(Shown::Certificate(|it| it.subject_alt_names.clear()), "missing_san")]
#[case::sha_1(Shown::SignedWithSha1, "insecure_sha1")]
#[tokio::test]
async fn what_go_has_given_up(
    #[context] context: Context,
    #[case] shown: Shown,
    #[case] counter: &str,
) {
    let lab = bare_only!(serial(), context);
    if matches!(shown, Shown::SignedWithSha1) && !skipped::has("openssl") {
        return skipped::skip(&name!(context), "there is no openssl to sign with SHA-1");
    }
    let counter = format!("apiserver_webhooks_x509_{counter}_total");
    let before = counted(&lab, &counter).await;
    shown.by(&lab).await;

    let seen = lab.asks().await.unauthorized().asked(0);

    assert_eq!(counted(&lab, &counter).await, before + 1, "{seen}");
    let line = seen
        .log
        .lines()
        .find_map(|line| line.split_once("] ")?.1.split_once("invalid-cert"));
    let (what, host) = line.unwrap_or_else(|| panic!("the log must name it: {seen}"));
    assert_reviewed!(
        context,
        format!("{}\n{what}invalid-cert{host}", errors(&seen))
    );
}

/// A webhook at an address is taken for its own if the certificate has that address among its
/// subject alternative names; a name, the right one or any other, does not count.
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
    assert_reviewed!(context, errors(&seen));
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

/// What the webhook does not take of the apiserver is one more way to be Unauthorized. In TLS 1.3 it
/// says so when for the apiserver the handshake is over: the log has the alert that it sent or, when
/// that comes before the request is on its way, only that HTTP/2 `client conn could not be
/// established`.
///
/// - Source: Go's `crypto/tls/alert.go`, Go 1.26; `golang.org/x/net/http2/transport.go`
///   (`awaitOpenSlotForStreamLocked`), v0.57.0
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

/// The same when it has none to show.
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

/// A file that asks for no certificate gets none: by `http://` the token goes in the clear, and with
/// `insecure-skip-tls-verify` to whoever answers. The apiserver starts with both.
///
/// - Source: `client-go/transport/transport.go` (`TLSConfigFor`), v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_file_that_asks_for_no_certificate(#[context] context: Context) {
    let mut lab = bare_only!(serial(), context);
    let address = format!("127.0.0.1:{}/authenticate", port(lab.webhook()));
    Shown::PlainHttp.by(&lab).await;
    let server = json!({ "server": format!("http://{address}") });
    lab.with_file(&file(&server, &json!({}))).await;
    let _ = lab.asks().await.forbidden("mock").asked(1);

    Shown::OfAnother("somebody-else").by(&lab).await;
    let server = json!({
        "server": format!("https://{address}"),
        "insecure-skip-tls-verify": true,
    });
    lab.with_file(&file(&server, &json!({}))).await;
    let _ = lab.asks().await.forbidden("mock").asked(1);
}
