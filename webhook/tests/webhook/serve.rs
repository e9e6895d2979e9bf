use std::fs;

use insta::assert_snapshot;
use nix::sys::signal::Signal;
use rstest::rstest;
use tempfile::TempDir;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::peer::{SERVICE, TUTORIAL, exchange};
use crate::program::{PROGRAM, Program, run};

/// What `curl -k -X POST -d @tokenreview.json http://localhost:PORT/authenticate` sends (curl 8),
/// and the same without `-X POST -d`.
async fn curl(program: &Program, method: &str, body: &str) -> String {
    let form = if body.is_empty() {
        String::new()
    } else {
        let length = body.len();
        format!("Content-Length: {length}\r\nContent-Type: application/x-www-form-urlencoded\r\n")
    };
    let request = format!(
        "{method} /authenticate HTTP/1.1\r\nHost: localhost:{}\r\nUser-Agent: curl/8.5.0\r\n\
         Accept: */*\r\nConnection: close\r\n{form}\r\n{body}",
        program.address.port()
    );
    exchange(program.address, request).await
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    // The time of the answer.
    settings.add_filter(r"date: .* GMT", "date: [DATE]");
    // How the HTTP standard ends a line; a snapshot cannot show it.
    settings.add_filter(r"\r\n", "\n");
    settings
}

#[tokio::test]
async fn the_tutorials_curl() {
    let program = Program::serve(&["--plain-http"], "info").await;
    let answer = curl(&program, "POST", TUTORIAL).await;
    settings().bind(|| assert_snapshot!(answer, @r#"
    HTTP/1.1 200 OK
    content-type: application/json
    connection: close
    content-length: 163
    date: [DATE]

    {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"mock","uid":"mock","groups":["group-mock"]}}}
    "#));
    let answer = curl(&program, "GET", "").await;
    settings().bind(|| assert_snapshot!(answer, @r#"
    HTTP/1.1 405 Method Not Allowed
    content-type: application/json
    allow: POST
    content-length: 146
    connection: close
    date: [DATE]

    {"kind":"Status","apiVersion":"v1","status":"Failure","message":"this method is not served here, use POST","reason":"MethodNotAllowed","code":405}
    "#));
}

#[rstest]
#[case::terminate(Signal::SIGTERM)]
#[case::interrupt(Signal::SIGINT)]
#[tokio::test]
async fn signals_end_it_well(#[case] signal: Signal) {
    let program = Program::serve(&["--plain-http"], "info").await;
    let idle = TcpStream::connect(program.address).await.expect("a server");
    curl(&program, "POST", TUTORIAL).await;
    curl(&program, "GET", "").await;
    program.signal(signal);
    let (status, stderr) = program.end().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    drop(idle);
    let mut settings = insta::Settings::clone_current();
    // When it was logged.
    settings.add_filter(r"\d{4}-\d\d-\d\dT\S+", "[TIME]");
    // The port is a free one.
    settings.add_filter(r"127\.0\.0\.1:\d+", "[ADDRESS]");
    // How long the review took.
    settings.add_filter(r"latency_us=\d+", "latency_us=[N]");
    // Keyed by what was drawn at the start.
    settings.add_filter(r#"token="[0-9a-f]{12}""#, "token=[HASH]");
    settings.bind(|| insta::allow_duplicates!(assert_snapshot!(stderr, @r#"
    [TIME]  WARN tokenlab_webhook::cli::serve: the mock recognises every token: for labs only
    [TIME]  WARN tokenlab_webhook::cli::serve: without TLS everybody on the way can read the tokens
    listening on http://[ADDRESS]/authenticate
    [TIME]  INFO tokenlab_webhook::router: review outcome="authenticated" code=200 latency_us=[N] api_version="authentication.k8s.io/v1beta1" token=[HASH] user="mock"
    [TIME]  INFO tokenlab_webhook::router: review outcome="malformed" code=405 latency_us=[N] reason="this method is not served here, use POST"
    [TIME]  INFO tokenlab_webhook::cli::serve: stopping
    "#)));
}

/// A folder with a certificate, its key, the authority, and a key that does not match.
pub(crate) fn material() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    let authority = CertificateAuthority::new("test").expect("an authority");
    let one = authority.serving(&[SERVICE]).expect("a certificate");
    let other = authority.serving(&[SERVICE]).expect("a certificate");
    for (name, content) in [
        ("ca.crt", authority.certificate_pem()),
        ("tls.crt", one.certificate_pem()),
        ("tls.key", one.key_pem()),
        ("other.key", other.key_pem()),
    ] {
        fs::write(dir.path().join(name), content).expect("written");
    }
    dir
}

/// When a line was logged, by the clock of the program that did.
fn second_of_day(line: &str) -> f64 {
    let (_, time) = line.split_once('T').expect("a time");
    let (time, _) = time.split_once('Z').expect("a time");
    time.split(':').fold(0.0, |total, part| {
        total * 60.0 + part.parse::<f64>().expect("a number")
    })
}

/// With all file descriptors used it neither ends nor spins, and serves again afterwards.
#[tokio::test]
async fn it_survives_a_lack_of_file_descriptors() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 16; exec \"$0\" \"$@\"", PROGRAM]);
    limited.args(["serve", "--mock", "--plain-http", "--listen", "127.0.0.1:0"]);
    let mut program = Program::start(limited.env("TOKENLAB_LOG", "warn")).await;
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(TcpStream::connect(program.address).await.expect("a server"));
    }
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(program.line_with("cannot accept a connection").await);
    }
    let passed = (second_of_day(&lines[3]) - second_of_day(&lines[0])).rem_euclid(86_400.0);
    assert!(passed >= 0.3, "three pauses of 100 ms: {lines:#?}");
    drop(idle);
    let answer = curl(&program, "POST", TUTORIAL).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn errors() {
    let dir = material();
    let serve = async |certificate: &str, key: &str| {
        let args = ["serve", "--mock", "--listen", "127.0.0.1:0"];
        let files = [
            "--tls-cert-file",
            certificate,
            "--tls-private-key-file",
            key,
        ];
        run(&[&args[..], &files].concat(), dir.path()).await
    };
    assert_snapshot!(serve("none.crt", "tls.key").await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot read certificate `none.crt`: No such file or directory (os error 2)

    hint: `tokenlab-webhook certs --out DIR` makes a certificate and a key for a lab
    ");
    assert_snapshot!(serve("tls.crt", "none.key").await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot read key `none.key`: No such file or directory (os error 2)

    hint: `tokenlab-webhook certs --out DIR` makes a certificate and a key for a lab
    ");
    assert_snapshot!(serve("tls.crt", "other.key").await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot serve certificate `tls.crt` with key `other.key`: the key does not match the certificate

    hint: give the key that this certificate was made for
    ");
    assert_snapshot!(serve("tls.key", "tls.key").await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot serve certificate `tls.key` with key `tls.key`: no certificate is in the chain's PEM
    ");
    assert_snapshot!(serve("tls.crt", "tls.crt").await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot serve certificate `tls.crt` with key `tls.crt`: no unencrypted private key is in the key's PEM: no items found

    hint: the file must have `-----BEGIN PRIVATE KEY-----` in it; `openssl pkey -in KEY` prints an encrypted key so
    ");

    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let args = ["serve", "--mock", "--plain-http", "--listen", &address];
    let text = run(&args, dir.path()).await.replace(&address, "[ADDRESS]");
    assert_snapshot!(text, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot listen on [ADDRESS]: Address already in use (os error 98)

    hint: give another address with `--listen`; port 0 takes a free one
    ");
    // For documentation (RFC 5737): no machine has it.
    let args = ["serve", "--mock", "--plain-http", "--listen", "192.0.2.1:0"];
    assert_snapshot!(run(&args, dir.path()).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot listen on 192.0.2.1:0: Cannot assign requested address (os error 99)

    hint: this machine has no such address, `--listen 0.0.0.0:PORT` takes all it has
    ");
}

#[tokio::test]
async fn usage() {
    let dir = TempDir::new().expect("a folder");
    let run = async |args: &[&str]| run(args, dir.path()).await;
    assert_snapshot!(run(&["serve", "--plain-http"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: nobody decides whose a token is

    hint: give `--token-file FILE`, or `ldap` in the file of `--config`; for a lab `--mock`
    ");
    assert_snapshot!(run(&["serve", "--mock"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no certificate to show

    hint: give `--tls-cert-file FILE` and `--tls-private-key-file FILE`; for a lab `tokenlab-webhook certs` makes both, and `--plain-http` does without
    ");
    assert_snapshot!(run(&["serve", "--mock", "--plain-http", "--tls-cert-file", "x"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: `--plain-http` cannot be used with `--tls-cert-file`
    ");
    assert_snapshot!(run(&["serve", "--mock", "--tls-cert-file", "x"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: `--tls-cert-file` is of no use without `--tls-private-key-file`
    ");
    assert_snapshot!(run(&["serve", "--mock", "--plain-http", "--listen", "8443"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '8443' for '--listen <ADDRESS>': invalid socket address syntax

    For more information, try '--help'.
    ");
    assert_snapshot!(run(&["--log", "loud", "certs", "--out", "x"]).await, @r#"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'loud' for '--log <LEVEL>': error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5

    For more information, try '--help'.
    "#);
}

#[tokio::test]
async fn help() {
    let dir = TempDir::new().expect("a folder");
    let help = run(&["serve", "--help"], dir.path()).await;
    assert_snapshot!(help, @r#"
    exit_code: 0
    ----- stdout -----
    Answer reviews until SIGINT or SIGTERM, then finish those that are under way

    Usage: tokenlab-webhook serve [OPTIONS]

    Options:
          --config <FILE>        Settings in YAML: what is `--max-in-flight` here is `maxInFlight` there
          --log <LEVEL>          What to log on stderr: off, error, warn, info, debug or trace. Never a
                                 token [default: info] [env: TOKENLAB_LOG=]
          --log-format <FORMAT>  How to write it [default: text] [env: TOKENLAB_LOG_FORMAT=] [possible
                                 values: text, json]
      -h, --help                 Print help

    Who decides:
          --mock[=<BOOL>]            Recognise EVERY token, as user `mock` of group `group-mock`. For
                                     labs only
          --token-file <FILE>        Recognise the tokens of this file, which has their hashes; `token`
                                     makes its lines
          --allow-reserved[=<BOOL>]  Let a token belong to users and groups that begin with `system:`

    Connections:
          --listen <ADDRESS>
              Where reviews come in: address and port; port 0 takes a free one [default: 127.0.0.1:8443]
          --health-listen <ADDRESS>
              Where /livez, /readyz and /metrics are, in plain HTTP [default: nowhere]
          --tls-cert-file <FILE>
              The certificate to show, PEM; its chain may follow. Read again when it changes
          --tls-private-key-file <FILE>
              The certificate's key, PEM
          --tls-min-version <VERSION>
              The oldest TLS that is spoken [default: `VersionTLS13`] [possible values: VersionTLS12,
              VersionTLS13]
          --client-ca-file <FILE>
              Take only clients with a certificate of these CAs, PEM
          --client-name <NAME>
              Of these only clients whose certificate has this name; can be given several times
          --no-client-certificates[=<BOOL>]
              Take any client: everybody who reaches the port can ask whose a token is
          --plain-http[=<BOOL>]
              Speak HTTP without TLS: everybody on the way can read the tokens
          --shutdown-delay <DURATION>
              How long to go on after SIGTERM, not ready, until no new connection comes [default: 0s]

    Limits:
          --max-in-flight <N>
              How many reviews may be under way; one more is answered by 429 [default: 1024]
          --review-timeout <DURATION>
              How long a review may take; then the answer is 503 [default: 10s]
          --drain-timeout <DURATION>
              How long the reviews that are under way may take after a stop [default: 11s]
          --retry-after <DURATION>
              What `Retry-After` says with 429 and 503. It multiplies the apiserver's calls [default:
              none]
          --max-body-octets <N>
              The largest body [default: 1048576]
          --max-head-octets <N>
              The largest head of a request [default: 16384]
          --max-connections <N>
              How many connections there may be; more wait [default: 16384]
          --handshake-timeout <DURATION>
              How long a TLS handshake may take [default: 10s]
          --head-timeout <DURATION>
              How long the head of an HTTP/1.1 request may take [default: 10s]
          --idle-timeout <DURATION>
              How long a connection may be idle [default: 2m]
          --http2-max-streams-per-connection <N>
              How many requests may run on an HTTP/2 connection [default: 250]
          --http2-max-resets <N>
              How many cancelled HTTP/2 requests may wait before the connection is closed [default: 20]
          --http2-ping-interval <DURATION>
              How long an HTTP/2 connection may be silent before it is pinged [default: 30s]
          --http2-ping-timeout <DURATION>
              How long the answer to a ping may take [default: 15s]

    Each flag has a variable, and a key in the file of `--config`: `--max-in-flight 50` is
    TOKENLAB_WEBHOOK_MAX_IN_FLIGHT=50 and `maxInFlight: 50`. A flag beats the variable, that the file.
    Those of `--log` and `--log-format` are TOKENLAB_LOG and TOKENLAB_LOG_FORMAT.
    In the file only: `ldap`, `ldapLimit`, `ldapCache`.

    Examples:
      tokenlab-webhook serve --mock --plain-http --listen 127.0.0.1:8080
      curl -X POST -d @tokenreview.json http://127.0.0.1:8080/authenticate

      tokenlab-webhook serve --token-file tokens.jsonl --listen 0.0.0.0:8443 \
        --tls-cert-file pki/tls.crt --tls-private-key-file pki/tls.key \
        --client-ca-file pki/ca.crt --client-name kube-apiserver --health-listen 0.0.0.0:8081

      tokenlab-webhook serve --config webhook.yaml
    ----- stderr -----
    "#);
}
