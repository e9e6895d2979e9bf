use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Mock, TlsFiles};

use crate::peer::{SERVICE, TUTORIAL, Webhook, client};
use crate::program::run;

/// A folder with what `tokenlab-webhook certs` makes.
async fn pki() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    let text = run(&["certs", "--out", "pki"], dir.path()).await;
    assert!(text.starts_with("exit_code: 0"), "{text}");
    dir
}

const CA: [&str; 3] = ["kubeconfig", "--certificate-authority", "pki/ca.crt"];
const CLIENT: [&str; 4] = [
    "--client-certificate",
    "pki/client.crt",
    "--client-key",
    "pki/client.key",
];

#[tokio::test]
async fn what_is_printed() {
    let mut settings = insta::Settings::clone_current();
    // Base64 of PEM, new in each test.
    settings.add_filter(r"(>-\s+)?LS0t[A-Za-z0-9+/=]+", "[PEM]");
    let _filtered = settings.bind_to_scope();
    let dir = pki().await;
    let kubeconfig = async |args: &[&str]| run(&[&CA[..], args].concat(), dir.path()).await;
    let name = ["--tls-server-name", SERVICE];
    let by_address = kubeconfig(&[&["--server", "https://10.96.0.50"][..], &name].concat()).await;
    assert_snapshot!(by_address, @"
    exit_code: 0
    ----- stdout -----
    apiVersion: v1
    kind: Config
    clusters:
    - name: webhook
      cluster:
        certificate-authority-data: [PEM]
        server: https://10.96.0.50/authenticate
        tls-server-name: my-authn.kube-system.svc
    users:
    - name: kube-apiserver
      user: {}
    contexts:
    - name: webhook
      context:
        cluster: webhook
        user: kube-apiserver
    current-context: webhook
    ----- stderr -----
    ");

    let url = ["--server", "https://my-authn.kube-system.svc/tokens/"];
    let by_path = kubeconfig(&[&url[..], &CLIENT].concat()).await;
    assert_snapshot!(by_path, @"
    exit_code: 0
    ----- stdout -----
    apiVersion: v1
    kind: Config
    clusters:
    - name: webhook
      cluster:
        certificate-authority-data: [PEM]
        server: https://my-authn.kube-system.svc/tokens
    users:
    - name: kube-apiserver
      user:
        client-certificate: pki/client.crt
        client-key: pki/client.key
    contexts:
    - name: webhook
      context:
        cluster: webhook
        user: kube-apiserver
    current-context: webhook
    ----- stderr -----
    ");

    let inline = kubeconfig(&[&url[..], &CLIENT, &["--embed-certs"]].concat()).await;
    assert_snapshot!(inline, @"
    exit_code: 0
    ----- stdout -----
    apiVersion: v1
    kind: Config
    clusters:
    - name: webhook
      cluster:
        certificate-authority-data: [PEM]
        server: https://my-authn.kube-system.svc/tokens
    users:
    - name: kube-apiserver
      user:
        client-certificate-data: [PEM]
        client-key-data: [PEM]
    contexts:
    - name: webhook
      context:
        cluster: webhook
        user: kube-apiserver
    current-context: webhook
    ----- stderr -----
    ");
}

/// Does with the file what client-go does with it.
#[tokio::test]
async fn what_is_printed_gets_in() {
    let dir = pki().await;
    let path = |name: &str| dir.path().join("pki").join(name);
    let mut files = TlsFiles::new(path("tls.crt"), path("tls.key"));
    files.client_ca = Some(path("ca.crt"));
    files.client_names = Some(vec!["kube-apiserver".to_owned()]);
    let (tls, _) = files.load().expect("usable");
    let other = CertificateAuthority::new("of nobody").expect("an authority");
    let webhook = Webhook::over(Mock, tls, &other).await;

    let port = webhook.address.port();
    let url = format!("https://{SERVICE}:{port}");
    let args = [&CA[..], &["--server", &url], &CLIENT, &["--embed-certs"]].concat();
    let text = run(&args, dir.path()).await;
    let (_, yaml) = text.split_once("----- stdout -----\n").expect("stdout");
    let (yaml, _) = yaml.split_once("----- stderr -----").expect("stderr");
    let file: Value = serde_saphyr::from_str(yaml).expect("YAML");
    let (cluster, user) = (&file["clusters"][0]["cluster"], &file["users"][0]["user"]);
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let data = |value: &Value| {
        let pem = STANDARD.decode(text(value)).expect("base64");
        String::from_utf8(pem).expect("PEM")
    };
    let pair = data(&user["client-key-data"]) + &data(&user["client-certificate-data"]);
    let authority = data(&cluster["certificate-authority-data"]);
    let identity = reqwest::Identity::from_pem(pair.as_bytes()).expect("a pair");
    let client = client(webhook.address, Some(&authority)).identity(identity);
    let request = client
        .build()
        .expect("a client")
        .post(text(&cluster["server"]));
    let request = request.header("content-type", "application/json");
    let response = request.body(TUTORIAL).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_path_is_added_where_there_is_none() {
    let dir = pki().await;
    for (server, told) in [
        ("https://localhost//", "https://localhost/authenticate"),
        ("https://[::1]:8443/", "https://[::1]:8443/authenticate"),
        ("https://localhost/a%20b//", "https://localhost/a%20b"),
    ] {
        let text = run(&[&CA[..], &["--server", server]].concat(), dir.path()).await;
        assert!(text.contains(&format!("server: {told}\n")), "{text}");
        let by_address = server.contains('[');
        assert_eq!(text.contains("note: "), by_address, "{text}");
    }
}

#[tokio::test]
async fn errors() {
    let dir = pki().await;
    let pem = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    let bundle = pem("pki/ca.crt") + &pem("pki/tls.key");
    fs::write(dir.path().join("bundle.pem"), bundle).expect("written");
    let server = ["--server", "https://localhost"];
    let kubeconfig = async |authority: &str, rest: &[&str]| {
        let args = ["kubeconfig", "--certificate-authority", authority];
        run(&[&args[..], &server, rest].concat(), dir.path()).await
    };
    assert_snapshot!(kubeconfig("none.crt", &[]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot read certificate authority `none.crt`: No such file or directory (os error 2)

    hint: `tokenlab-webhook certs --out DIR` makes a certificate and a key for a lab
    ");
    assert_snapshot!(kubeconfig("pki/tls.key", &[]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: no certificate is in `pki/tls.key`, or a broken one

    hint: the file must have `-----BEGIN CERTIFICATE-----` in it, as ca.crt has
    ");
    assert_snapshot!(kubeconfig("bundle.pem", &[]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: a private key is in `bundle.pem`

    hint: give a file with the authority's certificate alone: it is for everybody
    ");
    let pair = ["--client-certificate", "pki/client.crt", "--client-key"];
    let embed =
        async |key| kubeconfig("pki/ca.crt", &[&pair[..], &[key, "--embed-certs"]].concat()).await;
    assert_snapshot!(embed("none.key").await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot read client key `none.key`: No such file or directory (os error 2)

    hint: `tokenlab-webhook certs --out DIR` makes a certificate and a key for a lab
    ");
    assert_snapshot!(embed("pki/tls.key").await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot use client certificate `pki/client.crt` with key `pki/tls.key`: the key does not match the certificate

    hint: give the key that this certificate was made for
    ");
    let shown = ["--client-certificate", "pki/tls.crt", "--client-key"];
    let shown = [&shown[..], &["pki/tls.key", "--embed-certs"]].concat();
    assert_snapshot!(kubeconfig("pki/ca.crt", &shown).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: `pki/tls.crt` is no client's certificate

    hint: its extended key usage must have clientAuth, as client.crt of `certs` has
    ");
    assert_snapshot!(kubeconfig("pki/ca.crt", &pair[..2]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      --client-key <FILE>

    Usage: tokenlab-webhook kubeconfig --server <URL> --certificate-authority <FILE> --client-certificate <FILE> --client-key <FILE>

    For more information, try '--help'.
    ");
    assert_snapshot!(kubeconfig("pki/ca.crt", &["--tls-server-name", "a b"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'a b' for '--tls-server-name <NAME>': neither a DNS name nor an IP address

    For more information, try '--help'.
    ");
}

#[tokio::test]
async fn servers_that_the_apiserver_could_not_call() {
    let dir = TempDir::new().expect("a folder");
    let mut told = String::new();
    for server in [
        "http://localhost",
        "localhost:8443",
        "10.96.0.50",
        "https://",
        "https:///authenticate",
        "https://a b",
        "https://user@localhost",
        "https://localhost/authenticate?a=b",
        "https://localhost/#a",
        "https://10.96.0.50:99999",
        "https://10.96.0.50:",
        "https://localhost:0",
        "https://[::g]",
        "https://h%zz",
        "https://localhost/%zz",
        "https://localhost/%1",
        "",
    ] {
        let text = run(&[&CA[..], &["--server", server]].concat(), dir.path()).await;
        assert!(text.starts_with("exit_code: 2"), "{text}");
        let error = text.lines().find(|line| line.starts_with("error: "));
        told = format!("{told}{}\n", error.expect("an error"));
    }
    assert_snapshot!(told, @"
    error: invalid value 'http://localhost' for '--server <URL>': it must begin with `https://`
    error: invalid value 'localhost:8443' for '--server <URL>': it must begin with `https://`
    error: invalid value '10.96.0.50' for '--server <URL>': it must begin with `https://`
    error: invalid value 'https://' for '--server <URL>': it is no URL
    error: invalid value 'https:///authenticate' for '--server <URL>': it is no URL
    error: invalid value 'https://a b' for '--server <URL>': it is no URL
    error: invalid value 'https://user@localhost' for '--server <URL>': it must have a host and no user
    error: invalid value 'https://localhost/authenticate?a=b' for '--server <URL>': the apiserver drops what follows the path
    error: invalid value 'https://localhost/#a' for '--server <URL>': the apiserver drops what follows the path
    error: invalid value 'https://10.96.0.50:99999' for '--server <URL>': its port is not a number from 1 to 65535
    error: invalid value 'https://10.96.0.50:' for '--server <URL>': its port is not a number from 1 to 65535
    error: invalid value 'https://localhost:0' for '--server <URL>': its port is not a number from 1 to 65535
    error: invalid value 'https://[::g]' for '--server <URL>': its host is no DNS name and no address
    error: invalid value 'https://h%zz' for '--server <URL>': it is no URL
    error: invalid value 'https://localhost/%zz' for '--server <URL>': a `%` in its path is not before two hexadecimal digits
    error: invalid value 'https://localhost/%1' for '--server <URL>': a `%` in its path is not before two hexadecimal digits
    error: invalid value '' for '--server <URL>': it is no URL
    ");
}
