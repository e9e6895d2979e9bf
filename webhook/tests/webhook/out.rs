use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;
use tokenlab_webhook::authenticators::TokenFile;
use tokenlab_webhook::{Authenticator as _, Decision, Review};

use crate::program::run;

fn mode(path: &Path) -> u32 {
    let found = fs::metadata(path).expect("a file");
    found.permissions().mode() & 0o7777
}

const TOKEN: [&str; 7] = [
    "token",
    "--user",
    "ann",
    "--file",
    "tokens.jsonl",
    "--out",
    "ann.token",
];

/// What is there stays, and then no entry is made either.
#[tokio::test]
async fn a_token_is_for_its_owner_alone() {
    let dir = TempDir::new().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    let quiet = "exit_code: 0\n----- stdout -----\n----- stderr -----\n";
    assert_eq!(run(&TOKEN, dir.path()).await, quiet);
    assert_eq!(mode(&path("ann.token")), 0o600);
    let token = fs::read_to_string(path("ann.token")).expect("a token");
    let (tokens, _) = TokenFile::load(path("tokens.jsonl")).expect("tokens");
    let decision = tokens.authenticate(&Review::new(token.trim_end())).await;
    assert!(
        matches!(decision, Decision::Authenticated { .. }),
        "{decision:?}"
    );

    assert_snapshot!(run(&TOKEN, dir.path()).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: `ann.token` is there already

    hint: `--force` replaces it
    ");
    let entries = fs::read_to_string(path("tokens.jsonl")).expect("a file");
    assert_eq!(entries.lines().count(), 1);
    assert_eq!(
        run(&[&TOKEN[..], &["--force"]].concat(), dir.path()).await,
        quiet
    );
    let other = fs::read_to_string(path("ann.token")).expect("a token");
    assert_ne!(other, token);
    let missing = [
        "token",
        "--user",
        "ann",
        "--file",
        "tokens.jsonl",
        "--out",
        "none/t",
    ];
    let text = run(&missing, dir.path()).await;
    let error = "error: cannot write `none/t`: No such file";
    assert!(text.contains(error), "{text}");
    let entries = fs::read_to_string(path("tokens.jsonl")).expect("a file");
    assert_eq!(entries.lines().count(), 2);
}

/// Without a token file the entry is what is printed.
#[tokio::test]
async fn the_entry_is_no_secret() {
    let dir = TempDir::new().expect("a folder");
    let args = ["token", "--user", "ann", "--out", "ann.token"];
    let text = run(&args, dir.path()).await;
    let entry = text.strip_prefix("exit_code: 0\n----- stdout -----\n{\"sha256\":");
    assert!(entry.is_some(), "{text}");
    let token = fs::read_to_string(dir.path().join("ann.token")).expect("a token");
    assert!(!text.contains(token.trim_end()), "{text}");
}

/// A pipe is written to, and not replaced.
#[tokio::test]
async fn a_kubeconfig_with_a_key_is_for_its_owner_alone() {
    let dir = TempDir::new().expect("a folder");
    run(&["certs", "--out", "pki"], dir.path()).await;
    let args = [
        "kubeconfig",
        "--server=https://10.96.0.53",
        "--tls-server-name=my-authn.kube-system.svc",
        "--certificate-authority=pki/ca.crt",
        "--client-certificate=pki/client.crt",
        "--client-key=pki/client.key",
        "--embed-certs",
        "--out",
    ];
    let text = run(&[&args[..], &["webhook-config.yml"]].concat(), dir.path()).await;
    assert!(
        text.starts_with("exit_code: 0\n----- stdout -----\n-----"),
        "{text}"
    );
    let path = dir.path().join("webhook-config.yml");
    assert_eq!(mode(&path), 0o600);
    let written = fs::read_to_string(path).expect("a file");
    let piped = run(&[&args[..], &["/dev/stdout"]].concat(), dir.path()).await;
    assert!(piped.contains(&written), "{piped}");
}
