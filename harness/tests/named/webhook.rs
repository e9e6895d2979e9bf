//! `set` and `watch`: the webhook of a lab, changed and looked at.

use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokenlab_harness::fresh_token;
use tokenlab_harness::named::Status;
use tokenlab_webhook::Token;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::home::{Home, SOON};
use crate::support::{done, nothing_left, signal, tokenlab, up};

/// A lab in a home of its own.
struct Lab {
    home: Home,
    status: Status,
}

impl Lab {
    async fn up() -> Self {
        let home = Home::new().await;
        let status = up(&home, "seen").await;
        Self { home, status }
    }

    async fn run(&self, args: &[&str]) -> String {
        done(&self.home, args).await
    }

    /// `set` with `--json`, and the token on the standard input.
    async fn set(&self, token: &Token, args: &[&str]) -> Value {
        let args = [&["set", "--json", "--token-file", "-"], args].concat();
        let mut child = self.home.tokenlab(&args).await;
        let mut child = child.stdin(Stdio::piped()).spawn().expect("must start");
        let mut stdin = child.stdin.take().expect("must be a pipe");
        let line = format!("{}\n", token.expose());
        stdin
            .write_all(line.as_bytes())
            .await
            .expect("must be read");
        drop(stdin);
        let output = child.wait_with_output().await.expect("must be read");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("must be JSON")
    }

    /// The status of a request with this token.
    async fn ask(&self, token: &Token) -> u16 {
        let folder = &self.status.folder;
        let read = |file| std::fs::read_to_string(folder.join(file)).expect("must be there");
        let admin = read("admin.kubeconfig");
        let server = admin
            .lines()
            .find_map(|line| line.trim().strip_prefix("server: "));
        let server = server.expect("must be there").trim_matches(['"', '\'']);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(read("ca.crt").as_bytes()).expect("must be a CA");
        let client = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .build();
        let request = client
            .expect("must be made")
            .get(format!("{server}/api/v1/namespaces"))
            .bearer_auth(token.expose());
        request
            .send()
            .await
            .expect("must be answered")
            .status()
            .as_u16()
    }
}

/// `tokenlab watch --json` as it runs.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Watch {
    async fn start(lab: &Lab) -> Self {
        // What happens before it has begun to look it is told, too.
        let mut command = lab.home.tokenlab(&["watch", "--json", "--past"]).await;
        let mut child = command.spawn().expect("must start");
        let stdout = child.stdout.take().expect("must be a pipe");
        Self {
            child,
            lines: BufReader::new(stdout).lines(),
            said: String::new(),
        }
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(SOON.within, self.lines.next_line()).await;
        let line = line
            .expect("must say something soon")
            .expect("must be read");
        let line = line.expect("must not end");
        self.said.push_str(&line);
        serde_json::from_str(&line).expect("must be JSON")
    }
}

#[tokio::test]
async fn set_and_watch() {
    let lab = Lab::up().await;
    let mut watch = Watch::start(&lab).await;
    let tokens: [Token; 5] = std::array::from_fn(|_| fresh_token());
    let [ann, nobody, down, late, other] = &tokens;

    let set = lab.set(ann, &["--user", "ann", "--group", "dev"]).await;
    let scripted = &set["tokens"][0];
    assert_eq!(
        (&scripted["user"], &scripted["groups"][0]),
        (&"ann".into(), &"dev".into())
    );
    for source in ["asked", "cached"] {
        assert_eq!(lab.ask(ann).await, 403);
        let event = watch.next().await;
        assert_eq!(
            (&event["user"], &event["source"]),
            (&"ann".into(), &source.into())
        );
        assert_eq!(event["token"], scripted["token"], "{event}");
    }

    lab.set(nobody, &["--refuse"]).await;
    for source in ["asked", "cached"] {
        assert_eq!(lab.ask(nobody).await, 401);
        let event = watch.next().await;
        assert_eq!(
            (&event["decision"], &event["source"]),
            (&"refused".into(), &source.into())
        );
    }
    // What it is told of a token that the apiserver still knows otherwise.
    let set = lab.set(nobody, &["--user", "bob"]).await;
    let tokens_set = set["tokens"].as_array().expect("must be a list");
    let bob = tokens_set.iter().find(|token| token["user"] == "bob");
    assert!(
        bob.expect("must be there")["remembered_s"].is_u64(),
        "{set}"
    );

    let set = lab.run(&["set", "--down"]).await;
    assert!(set.contains("down: connections are refused"), "{set}");
    let status = tokenlab(&lab.home, &["status"]).await;
    assert_eq!(status.status.code(), Some(1), "{status}");
    assert!(
        status.stdout.contains("down, until `tokenlab set --up`"),
        "{status}"
    );
    let review = tokenlab(&lab.home, &["review", "any"]).await;
    assert_eq!(review.status.code(), Some(1), "{review}");
    let hint = "\nhint: `tokenlab set --up` has it listen again\n";
    assert!(review.stderr.ends_with(hint), "{review}");
    assert!(!review.stderr.contains("my-authn"), "{review}");
    assert_eq!(lab.ask(down).await, 401);
    let event = watch.next().await;
    assert_eq!(
        (&event["source"], event.get("token")),
        (&"no-call".into(), None)
    );

    let set = lab.run(&["set", "--up", "--latency", "100ms"]).await;
    assert!(set.contains("as it should, 100ms later"), "{set}");
    assert_eq!(lab.ask(late).await, 403);
    let event = watch.next().await;
    assert_eq!(event["user"], "mock", "{event}");
    assert!(event["latency_us"].as_u64() >= Some(100_000), "{event}");

    lab.run(&["set", "--other-version", "--latency", "0"]).await;
    assert_eq!(lab.ask(other).await, 401);
    assert_eq!(watch.next().await["fault"], "other-version");
    lab.run(&["set", "--no-fault"]).await;
    assert_eq!(lab.ask(other).await, 403);
    watch.next().await;

    let set = lab.set(ann, &["--forget"]).await;
    assert_eq!(set["tokens"].as_array().map(Vec::len), Some(1), "{set}");

    let shown = lab.run(&["set"]).await;
    assert!(shown.contains("user \"bob\""), "{shown}");
    nothing_has(&tokens, &lab, &[&watch.said, &shown]);
    ends(lab, watch).await;
}

/// That no token is in what was said and in any file of the lab.
fn nothing_has(tokens: &[Token], lab: &Lab, said: &[&str]) {
    let mut read = 0;
    let mut folders = vec![lab.home.tmp().to_owned(), lab.home.state()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().expect("must be readable") {
            let path = entry.expect("must be readable").into_path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let bytes = std::fs::read(&path).expect("must be readable");
                let text = String::from_utf8_lossy(&bytes);
                for token in tokens {
                    assert!(!text.contains(token.expose()), "a token is in {path}");
                }
                read += usize::from(path.ends_with("audit.log") && !bytes.is_empty());
            }
        }
    }
    assert_eq!(read, 1, "the audit log must be among the files");
    for text in said {
        for token in tokens {
            assert!(!text.contains(token.expose()), "a token was printed");
        }
    }
}

/// How a watch ends: by Ctrl-C, and with the lab.
async fn ends(lab: Lab, watch: Watch) {
    let mut other = lab.home.tokenlab(&["watch", "--past"]).await;
    let mut other = other.spawn().expect("must start");
    let stdout = other.stdout.take().expect("must be a pipe");
    let mut lines = BufReader::new(stdout).lines();
    let mut line = async || {
        let line = lines.next_line().await;
        line.expect("must be read").expect("must be there")
    };
    let head = line().await;
    assert!(head.starts_with("TIME "), "{head}");
    let line = line().await;
    assert!(line.ends_with("  asked"), "{line}");
    assert!(line.contains("  kubernetes.default.svc  ✓ ann "), "{line}");
    signal(other.id().expect("must run"), Signal::SIGINT);
    let status = other.wait().await.expect("must end");
    assert_eq!(status.code(), Some(130));

    lab.run(&["down"]).await;
    let Watch { child, lines, .. } = watch;
    drop(lines);
    let ended = child.wait_with_output().await.expect("must be read");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("error: the lab `seen` has ended"),
        "{stderr}"
    );
    nothing_left(&lab.home).await;
}
