use std::process::Stdio;

use rstest::rstest;
use rustls::HandshakeKind;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Mock, Tls};
use tokio::process::Command;

use super::{client, connect, review};
use crate::peer::{SERVICE, Webhook, soon};
use crate::skipped::{has, skip};

async fn webhook(tls12: bool) -> (Webhook, CertificateAuthority) {
    let authority = CertificateAuthority::new("test").expect("an authority");
    let certificate = authority.serving(&[SERVICE]).expect("a certificate");
    let (chain, key) = (certificate.certificate_pem(), certificate.key_pem());
    let builder = Tls::builder(chain.as_bytes(), key.as_bytes()).tls12(tls12);
    let tls = builder.build().expect("usable");
    (Webhook::over(Mock, tls, &authority).await, authority)
}

/// OpenSSL speaks versions that rustls never has. Of TLS 1.1 rustls misses the signature schemes
/// before it looks at the version.
#[rstest]
#[case::default_1_1(false, "-tls1_1", "alert handshake failure")]
#[case::default_1_2(false, "-tls1_2", "alert protocol version")]
#[case::default_1_3(false, "-tls1_3", "New, TLSv1.3")]
#[case::allowed_1_1(true, "-tls1_1", "alert handshake failure")]
#[case::allowed_1_2(true, "-tls1_2", "New, TLSv1.2")]
#[case::allowed_1_3(true, "-tls1_3", "New, TLSv1.3")]
#[tokio::test]
async fn what_openssl_is_told(#[case] tls12: bool, #[case] version: &str, #[case] told: &str) {
    if !has("openssl") {
        return skip("tls::versions::what_openssl_is_told", "there is no openssl");
    }
    let (webhook, _) = webhook(tls12).await;
    let address = webhook.address.to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address, version]);
    // Without it OpenSSL 3 itself does not speak TLS 1.1.
    command.args(["-cipher", "DEFAULT:@SECLEVEL=0"]);
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let output = soon(command.output()).await.expect("openssl");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(told), "{text}");
}

/// A session that is resumed is not asked for its certificate.
#[rstest]
#[case::tls_1_3(false)]
#[case::tls_1_2(true)]
#[tokio::test]
async fn no_session_is_resumed(#[case] old: bool) {
    let (webhook, authority) = webhook(old).await;
    let config = client(&authority, None);
    for _ in 0..3 {
        let mut stream = connect(webhook.address, &config).await;
        let answer = review(&mut stream).await.expect("an answer");
        assert_eq!(answer, "HTTP/1.1 200 OK");
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full));
    }
}
