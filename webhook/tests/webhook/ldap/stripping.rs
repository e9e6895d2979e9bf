use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{ask, load, reason};
use crate::peer::soon;

/// An extended response (RFC 4511, 4.12) to the message of that number.
fn response(message: u8, code: u8) -> Vec<u8> {
    let result = [0x0a, 1, code, 4, 0, 4, 0];
    [&[0x30, 12, 2, 1, message, 0x78, 7], &result[..]].concat()
}

/// Somebody in between who wants the password in plain.
#[rstest]
#[case::protocol_error(2, "rc=2 (protocolError)")]
#[case::unavailable(52, "rc=52 (unavailable)")]
#[case::yes_and_plain_words(0, "received corrupt message")]
#[tokio::test]
async fn no_password_is_said_without_tls(#[case] code: u8, #[case] expected: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let between = tokio::spawn(async move {
        let (mut stream, _) = soon(listener.accept()).await.expect("a connection");
        let mut first = [0; 512];
        let length = soon(stream.read(&mut first)).await.expect("a request");
        let first = &first[..length];
        // A sequence with a message number of one octet.
        let [0x30, _, 2, 1, message, ..] = *first else {
            panic!("no message of LDAP: {first:?}");
        };
        // Of a bind that was not encrypted: with the answer, and when TLS has begun.
        let known = [0x30, 12, 2, 1, message + 1, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0];
        let mut answer = response(message, code);
        let mut rest = Vec::new();
        if code == 0 {
            answer.extend(known);
        }
        stream.write_all(&answer).await.expect("written");
        if code == 0 {
            soon(stream.read_buf(&mut rest)).await.expect("a record");
            stream.write_all(&known).await.expect("written");
        }
        soon(stream.read_to_end(&mut rest)).await.ok();
        (first.to_vec(), rest)
    });
    let folder = TempDir::new().expect("a folder");
    let authority = CertificateAuthority::new("directory").expect("an authority");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, authority.certificate_pem()).expect("written");
    let (ldap, _) = load(json!({
        "url": format!("ldap://localhost:{port}"),
        "caFile": ca,
        "bind": {"template": "uid={username},dc=example,dc=org"},
        "timeout": "20s",
    }));
    let told = reason(&ask(&ldap, "demo-user", "demo-password").await);
    assert!(told.starts_with("unavailable: "), "{told}");
    assert!(told.contains(expected), "{told}");

    let (first, rest) = soon(between).await.expect("it must not panic");
    // An extended request, whose name is that of StartTLS.
    assert_eq!(first[5], 0x77);
    assert!(first.ends_with(b"1.3.6.1.4.1.1466.20037"), "{first:?}");
    // Then TLS records or nothing.
    assert!(rest.is_empty() || rest.starts_with(&[0x16, 3]), "{rest:?}");
    let password = b"demo-password";
    assert!(!rest.windows(password.len()).any(|part| part == password));
}
