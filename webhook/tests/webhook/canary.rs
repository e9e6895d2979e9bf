use std::fs;

use nix::sys::signal::Signal;
use rstest::rstest;
use tokenlab_webhook::authenticators::token_file::Entry;
use tokenlab_webhook::{Authenticator, Decision, Review, User, log_panics};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::health::{get, metric};
use crate::peer::{TUTORIAL, Webhook, client, soon, url};
use crate::program::{PROGRAM, Program};
use crate::serve::material;

const CANARY: &str = "c4n4ry-b1rd";

/// A review that has the canary for its token, and what is none but has it all the same.
fn bodies() -> [String; 5] {
    [
        TUTORIAL.replace("ZGVtbW8tcGFzc3dvcmQ=", CANARY),
        TUTORIAL.replace("\"ZGVtbW8tcGFzc3dvcmQ=\"", &format!("[\"{CANARY}\"]")),
        TUTORIAL.replace(
            "{\"token\":\"ZGVtbW8tcGFzc3dvcmQ=\"}",
            &format!("\"{CANARY}\""),
        ),
        TUTORIAL.replace("ZGVtbW8tcGFzc3dvcmQ=\"}}", CANARY),
        CANARY.to_owned(),
    ]
}

/// By one HTTP version and the other, with everything logged that can be.
#[rstest]
#[case::text("text", true)]
#[case::json("json", true)]
#[case::refused("text", false)]
#[tokio::test]
async fn no_token_is_logged(#[case] format: &str, #[case] known: bool) {
    let dir = material();
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let token = if known { CANARY } else { "another" };
    // The user's name would be a second line of the log.
    let user = User::new("ann\n2026-11-26T11:00:00Z  INFO tokenlab_webhook::router: review");
    let entry = Entry::new(&token.into(), user);
    fs::write(path("tokens"), entry.to_string()).expect("written");
    let mut command = Command::new(PROGRAM);
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--no-client-certificates",
    ]);
    command.args(["--health-listen", "127.0.0.1:0", "--log-format", format]);
    command.args(["--tls-cert-file", &path("tls.crt")]);
    command.args(["--tls-private-key-file", &path("tls.key")]);
    command.args(["--token-file", &path("tokens")]);
    let program = Program::start(command.env("TOKENLAB_LOG", "trace")).await;
    let health = program.health();

    let authority = fs::read_to_string(path("ca.crt")).expect("an authority");
    let new = || client(program.address, Some(&authority));
    let mut statuses = Vec::new();
    for client in [new(), new().http1_only()] {
        let client = client.build().expect("a client");
        for body in bodies() {
            let request = client.post(url("/authenticate", program.address, true));
            let request = request.header("content-type", "application/json");
            let request = request.bearer_auth(CANARY).body(body);
            let response = request.send().await.expect("a response");
            statuses.push(response.status().as_u16());
            let answer = response.text().await.expect("UTF-8");
            assert!(!answer.contains(CANARY), "{answer}");
        }
    }
    assert_eq!(statuses, [200, 400, 400, 400, 400].repeat(2));
    let (_, metrics) = get(health, "/metrics").await;
    assert!(!metrics.contains(CANARY), "{metrics}");
    assert!(metrics.contains("outcome=\"malformed\""), "{metrics}");

    program.signal(Signal::SIGTERM);
    let (_, stderr) = program.end().await;
    assert!(stderr.contains("TRACE"), "it must log so much:\n{stderr}");
    assert!(!stderr.contains(CANARY), "{stderr}");
    let outcome = if known { "authenticated" } else { "refused" };
    let reviews = || {
        let lines = stderr.lines();
        lines.filter(|line| {
            line.contains("router: review ") || line.contains(r#""message":"review""#)
        })
    };
    let decided: Vec<_> = reviews().filter(|line| line.contains(outcome)).collect();
    assert_eq!(decided.len(), 2, "one line for each review:\n{stderr}");
    assert_eq!(
        reviews().count(),
        10,
        "and for each that is none:\n{stderr}"
    );
    // The same token has the same hash, so that it can be followed.
    let hash = |line: &str| {
        let mark = if format == "json" {
            r#""token":""#
        } else {
            r#"token=""#
        };
        let (_, rest) = line.split_once(mark).expect("a hash");
        let (hash, _) = rest.split_once('"').expect("its end");
        assert!(hash.len() == 12, "{line}");
        hash.to_owned()
    };
    assert_eq!(hash(decided[0]), hash(decided[1]));
}

/// The mock knows it, wherever in a request it stands and however long it is.
#[tokio::test]
async fn no_token_in_a_strange_place_is_logged() {
    let dir = material();
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (chain, key) = (path("tls.crt"), path("tls.key"));
    let args = [
        ["--tls-cert-file", &chain],
        ["--tls-private-key-file", &key],
        ["--max-body-octets", "16384"],
    ];
    let program = Program::serve(args.as_flattened(), "trace").await;
    let authority = fs::read_to_string(path("ca.crt")).expect("an authority");
    let new = || client(program.address, Some(&authority));
    let (long, huge) = (CANARY.repeat(800), CANARY.repeat(2000));
    for client in [new(), new().http1_only()] {
        let client = client.build().expect("a client");
        let post = |path: &str| client.post(url(path, program.address, true));
        let review = TUTORIAL.replace("ZGVtbW8tcGFzc3dvcmQ=", &long);
        let get = client.get(url("/authenticate", program.address, true));
        for (request, status) in [
            (post("/authenticate").body(review), 200),
            (post(&format!("/authenticate?{CANARY}")).body(TUTORIAL), 200),
            (post(&format!("/{CANARY}")).body(TUTORIAL), 404),
            (get.header(CANARY, CANARY), 405),
        ] {
            let response = request.send().await.expect("a response");
            assert_eq!(response.status(), status);
            let answer = response.text().await.expect("UTF-8");
            assert!(!answer.contains(CANARY), "{answer}");
        }
        // Too much. How a client hears of that is of no matter here.
        for request in [
            post("/authenticate").body(huge.clone()),
            post("/authenticate").header("x-token", &huge),
        ] {
            request.send().await.ok();
        }
    }
    // No TLS.
    let mut stream = TcpStream::connect(program.address).await.expect("a server");
    stream.write_all(CANARY.as_bytes()).await.expect("taken");
    soon(stream.read_to_end(&mut Vec::new())).await.ok();

    program.signal(Signal::SIGTERM);
    let (_, stderr) = program.end().await;
    for told in ["TRACE", "TLS handshake failed", "code=413"] {
        assert!(stderr.contains(told), "{stderr}");
    }
    assert!(!stderr.contains(CANARY), "{stderr}");
}

/// One in a request that is none, and one in a review that is dropped by a stop.
#[tokio::test]
async fn no_token_in_half_a_request_is_logged() {
    let args = ["--plain-http", "--health-listen", "127.0.0.1:0"];
    let args = [&args[..], &["--drain-timeout", "100ms"]].concat();
    let program = Program::serve(&args, "trace").await;
    let send = async |text: String| {
        let mut stream = TcpStream::connect(program.address).await.expect("a server");
        stream.write_all(text.as_bytes()).await.expect("taken");
        stream
    };
    let head = "POST /authenticate HTTP/1.1\r\nHost: a\r\n";
    let mut broken = send(format!("{head}{CANARY} {CANARY}\r\n\r\n")).await;
    let mut answer = String::new();
    soon(broken.read_to_string(&mut answer))
        .await
        .expect("UTF-8");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(!answer.contains(CANARY), "{answer}");
    let _half = send(format!("{head}Content-Length: 1000\r\n\r\n{CANARY}")).await;
    metric(program.health(), "tokenreview_in_flight 1").await;

    program.signal(Signal::SIGTERM);
    let (_, stderr) = program.end().await;
    assert!(stderr.contains("abandoned"), "{stderr}");
    assert!(!stderr.contains(CANARY), "{stderr}");
}

/// Says what it was asked about as it panics.
struct Parrot;

impl Authenticator for Parrot {
    async fn authenticate(&self, review: &Review) -> Decision {
        panic!("{}", review.token.expose());
    }
}

/// A program of its own: what a panic says is the whole process's.
#[tokio::test]
#[ignore = "another test starts it"]
async fn a_program_with_a_parrot() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    log_panics();
    let webhook = Webhook::start(Parrot).await;
    let response = webhook.post(bodies()[0].clone()).await;
    assert_eq!(response.status(), 500);
    let answer = response.text().await.expect("UTF-8");
    assert!(!answer.contains(CANARY), "{answer}");
}

#[tokio::test]
async fn no_panic_says_a_token() {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args([
        "canary::a_program_with_a_parrot",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    let output = soon(command.kill_on_drop(true).output())
        .await
        .expect("run");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("panicked at=\"webhook/tests/webhook/canary.rs:"),
        "{text}"
    );
    assert!(!text.contains(CANARY), "{text}");
}
