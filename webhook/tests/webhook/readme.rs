//! What the README shows is what comes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use reqwest::Identity;
use tempfile::TempDir;
use tokio::process::Command;

use crate::peer::{client, soon, url};
use crate::program::{PROGRAM, Program, run};

const README: &str = include_str!("../../README.md");

/// The first block in this language that has `text` in it.
fn block(language: &str, text: &str) -> &'static str {
    let blocks = README.split("\n```").skip(1).step_by(2);
    let mut blocks = blocks.filter_map(|block| block.strip_prefix(language));
    let block = blocks.find(|block| block.contains(text));
    block.unwrap_or_else(|| panic!("no {language} with `{text}`"))
}

/// From nothing to a token that is known to a client with the certificate, as the commands say.
#[tokio::test]
async fn the_programs_commands() {
    let dir = TempDir::new().expect("a folder");
    let commands = block("console", "tokenlab-webhook certs").replace("\\\n", " ");
    let mut program = None;
    for line in commands.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("$"), "{line}");
        assert_eq!(words.next(), Some("tokenlab-webhook"), "{line}");
        let words: Vec<_> = words.collect();
        let mut command = Command::new(PROGRAM);
        command
            .args(&words)
            .current_dir(dir.path())
            .kill_on_drop(true);
        if words[0] == "serve" {
            command.env("TOKENLAB_WEBHOOK_LISTEN", "127.0.0.1:0");
            program = Some(Program::start(&mut command).await);
        } else {
            let output = soon(command.output()).await.expect("a program");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}\n{stderr}");
        }
    }
    for secret in ["ann.token", "webhook-config.yml", "tokens.jsonl"] {
        let found = fs::metadata(dir.path().join(secret)).expect("a file");
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{secret}");
    }

    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    let address = program.as_ref().expect("it must serve").address;
    let pair = read("pki/client.key") + &read("pki/client.crt");
    let identity = Identity::from_pem(pair.as_bytes()).expect("a pair");
    let client = client(address, Some(&read("pki/ca.crt"))).identity(identity);
    let client = client.build().expect("a client");
    let review = serde_json::json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": read("ann.token").trim_end()},
    });
    let request = client.post(url("/authenticate", address, true));
    let answer = request.json(&review).send().await.expect("an answer");
    let answer = answer.text().await.expect("UTF-8");
    assert!(
        answer.contains(r#""username":"ann","groups":["dev"]"#),
        "{answer}"
    );
}

#[cfg(feature = "ldap")]
#[tokio::test]
async fn the_configuration_file() {
    let dir = TempDir::new().expect("a folder");
    run(&["certs", "--out", "."], dir.path()).await;
    let token = ["token", "--user", "ann", "--file", "tokens.jsonl"];
    run(&token, dir.path()).await;
    fs::write(dir.path().join("password"), "secret").expect("written");
    for (name, file) in [
        ("tls/tls.crt", "tls.crt"),
        ("tls/tls.key", "tls.key"),
        ("client-ca/ca.crt", "ca.crt"),
        ("tokens/tokens.jsonl", "tokens.jsonl"),
        ("directory-ca.crt", "ca.crt"),
        ("reader.password", "password"),
    ] {
        let path = dir.path().join("etc").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::copy(dir.path().join(file), path).expect("copied");
    }
    let text = block("yaml", "ldap:").replace("/etc/webhook/", "etc/");
    fs::write(dir.path().join("webhook.yaml"), text).expect("written");
    let told = run(&["check-config", "--config", "webhook.yaml"], dir.path()).await;
    assert!(told.starts_with("exit_code: 0"), "{told}");
    assert!(told.contains("decides: token-file, then ldap\n"), "{told}");
    assert!(
        told.contains("clients: with a certificate for kube-apiserver\n"),
        "{told}"
    );
}

#[tokio::test]
async fn what_check_config_says() {
    let dir = TempDir::new().expect("a folder");
    let text = "mock: true\n# for a start\nplainHttp: true\ntlsCertFile: tls.crt\n";
    fs::write(dir.path().join("webhook.yaml"), text).expect("written");
    let block = block("console", "tokenlab-webhook check-config").trim();
    let (command, shown) = block
        .split_once('\n')
        .expect("a command and what it prints");
    let args: Vec<_> = command.split_whitespace().skip(2).collect();
    let told = run(&args, dir.path()).await;
    let expected = format!("exit_code: 2\n----- stdout -----\n----- stderr -----\n{shown}\n");
    assert_eq!(told, expected);
}
