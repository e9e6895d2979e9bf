use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tokenlab_webhook::pki::CertificateAuthority;

use super::{ask, client_of, pem};
use crate::program::{Program, run};

const FILES: [&str; 8] = [
    "--tls-cert-file",
    "tls.crt",
    "--tls-private-key-file",
    "tls.key",
    "--client-ca-file",
    "ca.crt",
    "--client-name",
    "kube-apiserver",
];

/// What `certs` made, as a client has it.
fn made(dir: &Path) -> std::sync::Arc<rustls::ClientConfig> {
    let read = |name: &str| fs::read_to_string(dir.join(name)).expect("a file");
    let (certificate, key) = (read("client.crt"), read("client.key"));
    client_of(&read("ca.crt"), Some((&certificate, &key)))
}

/// `certs` writes file after file; the program takes no certificate without its key.
#[tokio::test]
async fn new_certificates_are_taken_without_a_restart() {
    let dir = TempDir::new().expect("a folder");
    run(&["certs", "--out", "."], dir.path()).await;
    let args = FILES.map(|arg| match arg.strip_prefix("--") {
        None if arg.contains('.') => dir.path().join(arg).into_os_string(),
        _ => arg.into(),
    });
    let mut program = Program::serve(&args, "info").await;
    let first = made(dir.path());
    let answer = ask(program.address, &first).await;
    assert_eq!(answer.expect("an answer"), "HTTP/1.1 200 OK");
    program.line_with(r#"caller="kube-apiserver""#).await;

    run(&["certs", "--out", ".", "--force"], dir.path()).await;
    for _ in ["certificate", "client CA"] {
        program.line_with(": read again").await;
    }
    let second = made(dir.path());
    let answer = ask(program.address, &second).await;
    assert_eq!(answer.expect("an answer"), "HTTP/1.1 200 OK");

    // It trusts the new server, and shows what the old authority signed.
    let old = CertificateAuthority::new("old").expect("an authority");
    let old = old.client("kube-apiserver", &[]).expect("a client");
    let authority = fs::read_to_string(dir.path().join("ca.crt")).expect("a file");
    let stranger = client_of(&authority, Some(pem(&old)));
    let error = ask(program.address, &stranger).await.expect_err("refused");
    assert_eq!(error, "received fatal alert: UnknownCA");
}
