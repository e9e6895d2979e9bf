use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::peer::{SERVICE, TUTORIAL, client, url};
use crate::program::{Program, run};

#[tokio::test]
async fn what_is_written_can_be_served() {
    let dir = TempDir::new().expect("a folder");
    let text = run(
        &["certs", "--out", "new/pki", "--name", SERVICE],
        dir.path(),
    )
    .await;
    assert_snapshot!(text, @"
    exit_code: 0
    ----- stdout -----
    wrote new/pki/ca.crt
    wrote new/pki/tls.crt
    wrote new/pki/tls.key
    wrote new/pki/client.crt
    wrote new/pki/client.key
    valid for my-authn.kube-system.svc, and for client kube-apiserver (7 days)
    ----- stderr -----
    ");

    let pki = dir.path().join("new/pki");
    let path = |name: &str| pki.join(name).to_str().expect("UTF-8").to_owned();
    let mode = |name: &str| {
        let metadata = fs::metadata(path(name)).expect("a file");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(["tls.key", "client.key"].map(mode), [0o600; 2]);

    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let args = [
        "--tls-cert-file",
        &certificate,
        "--tls-private-key-file",
        &key,
    ];
    let program = Program::serve(&args, "info").await;
    let authority = fs::read_to_string(path("ca.crt")).expect("an authority");
    let trusting = client(program.address, Some(&authority));
    let trusting = trusting.build().expect("a client");
    let request = trusting.post(url("/authenticate", program.address, true));
    let response = request.body(TUTORIAL).send().await.expect("a response");
    assert_eq!(response.status(), 200);

    // Only the name that was given is in it.
    let request = trusting.post(format!("https://{}/authenticate", program.address));
    let error = request
        .body(TUTORIAL)
        .send()
        .await
        .expect_err("no such name");
    assert!(
        format!("{error:?}").contains("NotValidForName"),
        "{error:?}"
    );
}

#[tokio::test]
async fn files_are_replaced_only_by_force() {
    let dir = TempDir::new().expect("a folder");
    let key = dir.path().join("tls.key");
    fs::write(&key, "precious").expect("written");
    assert_snapshot!(run(&["certs", "--out", "."], dir.path()).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: `./tls.key` is there already

    hint: `--force` replaces it
    ");
    assert_eq!(fs::read_to_string(&key).expect("a file"), "precious");
    let names = || fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(names(), 1, "nothing was written");

    assert_snapshot!(run(&["certs", "--out", ".", "--force"], dir.path()).await, @"
    exit_code: 0
    ----- stdout -----
    wrote ./ca.crt
    wrote ./tls.crt
    wrote ./tls.key
    wrote ./client.crt
    wrote ./client.key
    valid for my-authn.kube-system.svc, localhost, 127.0.0.1, and for client kube-apiserver (7 days)
    ----- stderr -----
    ");
    assert_ne!(fs::read_to_string(&key).expect("a file"), "precious");
    assert_eq!(names(), 5, "nothing else was left");
}

#[tokio::test]
async fn errors() {
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join("file"), "").expect("written");
    fs::create_dir_all(dir.path().join("pki/ca.crt")).expect("a folder");
    let certs = async |args: &[&str]| run(&[&["certs"], args].concat(), dir.path()).await;
    assert_snapshot!(certs(&["--out", "file/pki"]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot write `file/pki`: Not a directory (os error 20)
    ");
    assert_snapshot!(certs(&["--out", "pki", "--force"]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot write `pki/ca.crt`: Is a directory (os error 21)
    ");
    assert_snapshot!(certs(&["--out", "x", "--name", "https://localhost"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: cannot make certificates: `https://localhost` is neither a DNS name nor an IP address

    hint: give a name without scheme, port and path
    ");
    assert_snapshot!(certs(&[]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      --out <DIR>

    Usage: tokenlab-webhook certs --out <DIR>

    For more information, try '--help'.
    ");
    assert!(!dir.path().join("x").exists(), "nothing was made");
}
