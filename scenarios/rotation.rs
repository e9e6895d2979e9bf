//! Certificates that are replaced while the apiserver runs: what it notices, and when.

use std::time::{Duration, Instant};

use rstest::{Context, rstest};
use semver::Version;
use tokenlab_harness::assets::Assets;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{CONFIG_FILE, Poll, SERVICE_NAME};
use tokenlab_webhook::Tls;
use tokenlab_webhook::pki::CertificateAuthority;

use crate::lab::attempts::{comes_to, errors, passes};
use crate::lab::certificates::{AUTHORITY, serving, valid};
use crate::lab::counters::Counters;
use crate::lab::evidence::Asked;
use crate::lab::file_plane::{AUTHORITIES, apiservers, by_files};
use crate::lab::rewiring::Rewired;
use crate::lab::serial::serial;
use crate::lab::webhook_file::WebhookFile;
use crate::support::{bare_only, config, slow};

/// The webhook's certificate matters when a connection is made. The apiserver keeps the one that it
/// has: whatever is served since, an expired certificate too, it meets with the next. A new
/// certificate of the same authority needs no restart.
///
/// - Source: `client-go/transport/cache.go` (`get`), v0.37.2;
///   `crypto/tls/handshake_client.go` (`verifyServerCertificate`), Go 1.26
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_new_certificate_of_the_same_authority(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    let webhook = lab.webhook();
    let authority = webhook.authority().expect("is served here");
    let tls = serving(authority, |_| ()).tls();
    webhook
        .serve_with(Some(tls.clone()))
        .await
        .expect("must serve");
    let _ = lab.asks().await.forbidden("mock").asked(1);

    tls.replace(&serving(authority, |it| valid(it, -2, -1)).tls());
    let _ = lab.asks().await.forbidden("mock").asked(1);
    webhook
        .break_connections(None)
        .await
        .expect("must close them");
    let seen = lab.asks().await.unauthorized().asked(0);
    assert!(errors(&seen).contains("certificate has expired"), "{seen}");

    tls.replace(&serving(authority, |_| ()).tls());
    let _ = lab.asks().await.forbidden("mock").asked(1);
}

/// Two authorities in the file make the change from one to the other seamless. Whichever has made
/// the webhook's certificate, it is taken.
///
/// - Source: `client-go/transport/transport.go` (`rootCertPool`), v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn two_authorities_in_the_file(#[context] context: Context) {
    let lab = bare_only!(by_files(), context);
    for authority in [lab.first(), &lab.second, lab.first()] {
        lab.serve(authority, None).await;
        let _ = lab.plane.asks().await.forbidden("mock").asked(1);
    }
}

/// The webhook's file is read once, and an authority inline in it with it. Another one there
/// changes nothing until the apiserver is started anew.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go` (`LoadKubeconfig`), v0.37.2
/// - Upstream test: none
/// - Seen by users: kubernetes/kubernetes#119483, P12
#[rstest]
#[tokio::test]
async fn an_authority_inline(#[context] context: Context) {
    let mut lab = bare_only!(serial(), context);
    let other = CertificateAuthority::new(AUTHORITY).expect("must be made");
    let certificate = other.serving(&[SERVICE_NAME]).expect("must be made");
    let tls = Tls::from_certificate(&certificate).expect("must be usable");
    lab.webhook()
        .serve_with(Some(tls))
        .await
        .expect("must serve");
    let mut file = lab.webhook().kubeconfig();
    file.certificate_authority = other.certificate_pem().to_owned();
    let written = lab.folder().write(CONFIG_FILE, &file.yaml());
    written.expect("must be written");

    let seen = lab.asks().await.unauthorized().asked(0);
    assert!(errors(&seen).contains("unknown authority"), "{seen}");

    lab.with_file(&file.yaml()).await;
    let _ = lab.asks().await.forbidden("mock").asked(1);
}

/// A client certificate that the file names by its path is read again at each new connection. No
/// restart; but who meets the new one first is Unauthorized: the apiserver finds it in the middle
/// of a handshake, and closes all connections, this one too.
///
/// - Source: `client-go/transport/cert_rotation.go` (`loadClientCert`), v0.37.2
/// - Upstream test: `TestCertRotation` (integration; a client of the apiserver, not of a webhook)
/// - Seen by users: kubernetes/kops#16850, kubernetes/kubernetes#112404
#[rstest]
#[tokio::test]
async fn a_new_client_certificate(#[context] context: Context) {
    let lab = bare_only!(by_files(), context);
    lab.shows(&apiservers(lab.first()));
    lab.takes(lab.first(), "the old one is shown", passes).await;

    lab.shows(&apiservers(&lab.second));
    let all = lab.takes(&lab.second, "the new one is shown", passes).await;

    let closed = "use of closed network connection";
    let mut all = all.iter();
    assert!(all.any(|seen| seen.status == 401 && errors(seen).contains(closed)));
}

/// From 1.36 on, an authority that the file names by its path is read again every five minutes,
/// without a restart: by the first request that needs the webhook when they are over, counted from
/// the apiserver's start. One that is inline is not; before 1.36 neither is.
///
/// - Source: `client-go/transport/ca_rotation.go` and `client-go/features/known_features.go`
///   (`ClientsAllowCARotation`), v0.37.2
/// - Upstream test: `TestCARotationConnectionBehavior` (unit; the transport alone, by a clock of
///   its own)
/// - Seen by users: kubernetes/kubernetes#119483, P12
/// - Since: 1.36
/// - Class: slow
#[rstest]
#[tokio::test]
async fn a_new_authority(#[context] context: Context) {
    const WINDOW: Duration = Duration::from_secs(5 * 60);
    const LATE: Duration = Duration::from_secs(30);
    slow!(context);
    let assets = bare_only!(assets(), context);
    let is_read = assets.version >= Version::new(1, 36, 0);
    let start = Instant::now();
    let by_path = Rewired::start(|plan| WebhookFile::of(plan).by_path(plan.folder()).text()).await;
    let inline = Rewired::start(|plan| plan.webhook().kubeconfig().yaml()).await;
    let other = CertificateAuthority::new(AUTHORITY).expect("must be made");
    for plane in [&by_path, &inline] {
        let _ = plane.asks().await.forbidden("mock").asked(1);
        let tls = Some(serving(&other, |_| ()).tls());
        plane.webhook().serve_with(tls).await.expect("must serve");
    }
    let before = Counters::of(&by_path).await;
    let written = by_path.folder().write(AUTHORITIES, other.certificate_pem());
    written.expect("must be written");

    let attempt = async || by_path.asks().await;
    let poll = Poll {
        every: Duration::from_secs(1),
        within: WINDOW + Duration::from_secs(60),
    };
    let is_over = |seen: &Asked| passes(seen) || start.elapsed() >= WINDOW + LATE;
    let all = comes_to("the window is over", poll, attempt, is_over).await;

    assert!(start.elapsed() >= WINDOW, "{:?}", start.elapsed());
    assert_eq!(all.last().is_some_and(passes), is_read);
    let grown = Counters::of(&by_path).await.since(&before);
    let read = grown.of("rest_client_transport_ca_reload_total");
    let updated = r#"rest_client_transport_ca_reload_total{reason="updated",result="success"}"#;
    let expected = is_read.then_some((updated, 1));
    assert_eq!(read, expected.into_iter().collect());
    let seen = inline.asks().await.unauthorized().asked(0);
    assert!(errors(&seen).contains("unknown authority"), "{seen}");
    by_path.stop().await;
    inline.stop().await;
}

/// What the planes are made of.
async fn assets() -> Assets {
    let assets = Assets::ensure(&config().kubernetes, &Progress::hidden()).await;
    assets.expect("must be found")
}
