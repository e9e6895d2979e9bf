use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use insta::assert_snapshot;
use serde_json::json;
use tempfile::TempDir;
use tokenlab_webhook::authenticators::TokenFile;
use tokenlab_webhook::authenticators::token_file::{Entry, TokenReload};
use tokenlab_webhook::{Authenticator as _, Decision, Review, User};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::peer::{Webhook, shown, soon};
use crate::program::{PROGRAM, run};

/// What a command writes to stdout when all goes well.
async fn made(args: &[&str], dir: &Path) -> String {
    let output = Command::new(PROGRAM).args(args).current_dir(dir).output();
    let output = soon(output).await.expect("a program");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    // Both are random.
    settings.add_filter("tokenlab_[A-Za-z0-9_-]{43}", "[TOKEN]");
    settings.add_filter("\"sha256\":\"[0-9a-f]{64}\"", r#""sha256":"[HASH]""#);
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]");
    settings
}

#[tokio::test]
async fn one_that_is_made_is_known() {
    let dir = TempDir::new().expect("a folder");
    let args = ["token", "--file", "tokens.jsonl", "--user", "ann"];
    let more = ["--uid", "7", "--group", "dev", "--group", "ops"];
    let extra = ["--extra", "example.org/team=red", "--expires-in", "1h"];
    let one = made(&[&args[..], &more, &extra].concat(), dir.path()).await;
    let other = made(
        &["token", "--user", "bob", "--audience", "elsewhere"],
        dir.path(),
    )
    .await;
    let file = fs::read_to_string(dir.path().join("tokens.jsonl")).expect("a file");
    settings().bind(|| {
        assert_snapshot!(one, @"[TOKEN]");
        assert_snapshot!(file, @r#"{"sha256":"[HASH]","username":"ann","uid":"7","groups":["dev","ops"],"extra":{"example.org/team":["red"]},"expires":"[TIME]"}"#);
        assert_snapshot!(other, @r#"
    [TOKEN]
    {"sha256":"[HASH]","username":"bob","audiences":["elsewhere"]}
    "#);
    });
    let token = one.trim_end();
    assert!(!file.contains(token));

    // The line of the other, as a person would add it.
    let (elsewhere, line) = other.split_once('\n').expect("two lines");
    let path = dir.path().join("tokens.jsonl");
    fs::write(&path, format!("{file}# Bob's\n{line}")).expect("written");
    let (tokens, _) = TokenFile::load(path).expect("tokens");
    assert_eq!(tokens.len(), 2);
    let webhook = Webhook::start(tokens).await;
    let ask = async |token: &str| {
        let spec = json!({"token": token, "audiences": ["here"]});
        let version = "authentication.k8s.io/v1";
        let review = json!({"apiVersion": version, "kind": "TokenReview", "spec": spec});
        shown(webhook.post(review.to_string()).await).await
    };
    assert_snapshot!(ask(token).await, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"ann","uid":"7","groups":["dev","ops"],"extra":{"example.org/team":["red"]}}}}
    "#);
    for unknown in [elsewhere, &token[1..], &format!("{token}x")] {
        let answer = ask(unknown).await;
        insta::allow_duplicates!(assert_snapshot!(answer, @r#"
    200 OK, application/json
    {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false}}
    "#));
    }
}

#[tokio::test]
async fn a_line_more_changes_nothing_else() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("tokens.jsonl");
    fs::write(&path, "# ours, without a line end").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    symlink("tokens.jsonl", dir.path().join("link")).expect("a link");
    // All at once, and none is lost.
    let names: Vec<_> = (0..8).map(|n| format!("user-{n}")).collect();
    let add =
        async |name: &String| made(&["token", "--file", "link", "--user", name], dir.path()).await;
    let made = join_all(names.iter().map(add)).await;
    let (tokens, _) = TokenFile::load(&path).expect("tokens");
    for (name, token) in names.iter().zip(made) {
        let decision = tokens.authenticate(&Review::new(token.trim_end())).await;
        assert_eq!(decision, Decision::authenticated(User::new(name)));
    }
    let content = fs::read_to_string(&path).expect("a file");
    assert_eq!(content.lines().next(), Some("# ours, without a line end"));
    assert_eq!(content.lines().count(), 9);
    let permissions = fs::metadata(&path).expect("a file").permissions();
    assert_eq!(permissions.mode() & 0o777, 0o640);
    assert!(dir.path().join("link").is_symlink());
    let files = fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(files, 2, "nothing else was left");
}

#[tokio::test]
async fn errors() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("tokens.jsonl");
    let broken = "# ours\n{\"sha256\":\"secret\",\"username\":\"ann\"}\n";
    fs::write(&path, broken).expect("written");
    fs::create_dir(dir.path().join("folder")).expect("a folder");
    let token = async |args: &[&str]| run(&[&["token"], args].concat(), dir.path()).await;
    assert_snapshot!(token(&["--user", "ann", "--file", "tokens.jsonl"]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: token file `tokens.jsonl`, line 2: column 18: `sha256` is not 64 hexadecimal digits
    ");
    assert_eq!(fs::read_to_string(&path).expect("a file"), broken);
    assert_snapshot!(token(&["--user", "ann", "--file", "folder"]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot use the token file: cannot read `folder`: it is not a regular file
    ");
    assert_snapshot!(token(&["--user", "ann", "--file", "missing/file"]).await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot write `missing/file`: No such file or directory (os error 2)
    ");
    assert_snapshot!(token(&["--user", ""]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '' for '--user <NAME>': it must not be empty

    For more information, try '--help'.
    ");
    assert_snapshot!(token(&["--user", "ann", "--extra", "x"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'x' for '--extra <KEY=VALUE>': it must be KEY=VALUE

    For more information, try '--help'.
    ");
    assert_snapshot!(token(&["--user", "ann", "--expires-in", "30d"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '30d' for '--expires-in <DURATION>': `30d` is no duration: write it like `500ms`, `10s` or `1m30s`

    For more information, try '--help'.
    ");
    assert_snapshot!(token(&["--user", "ann", "--group", "a\nb"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'a
    b' for '--group <NAME>': it must have no control characters

    For more information, try '--help'.
    ");
    assert_snapshot!(token(&["--user", "ann", "--expires-in", "999ms"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: `--expires-in` is less than a second: the token would never be good
    ");
    assert_snapshot!(token(&["--user", "ann", "--expires-in", "99999999h"]).await, @"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: `--expires-in` ends after the year 9999
    ");
}

#[tokio::test]
async fn one_that_lets_nobody_in_is_told() {
    let dir = TempDir::new().expect("a folder");
    let args = ["token", "--user", "ann", "--group", "system:masters"];
    let told = run(&args, dir.path()).await;
    settings().bind(|| {
        assert_snapshot!(told, @r#"
        exit_code: 0
        ----- stdout -----
        [TOKEN]
        {"sha256":"[HASH]","username":"ann","groups":["system:masters"]}
        ----- stderr -----
        note: Kubernetes reserves the group "system:masters": `serve` answers this token with an error, unless it is told `--allow-reserved`
        "#);
    });
}

#[tokio::test]
async fn one_that_nobody_is_told_is_not_made() {
    let dir = TempDir::new().expect("a folder");
    // Nothing can be written to it.
    let full = fs::File::options().write(true).open("/dev/full");
    let full = full.expect("Linux must have it");
    let mut command = Command::new(PROGRAM);
    let command = command.args(["token", "--user", "ann", "--file", "tokens.jsonl"]);
    let command = command.current_dir(dir.path()).stdout(Stdio::from(full));
    let child = command.stderr(Stdio::piped()).spawn().expect("a program");
    let output = soon(child.wait_with_output()).await.expect("a status");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_snapshot!(stderr, @"error: cannot show the token, so none was made: No space left on device (os error 28)");
    let files = fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(files, 0, "nothing was left");
}

#[tokio::test]
async fn a_file_that_changes_is_read_again() {
    let dir = TempDir::new().expect("a folder");
    // As the kubelet mounts a Secret: a link to a file behind a link to a folder, and only the
    // latter is exchanged.
    let publish = |version: &str, content: &str| {
        fs::create_dir(dir.path().join(version)).expect("a folder");
        fs::write(dir.path().join(version).join("tokens"), content).expect("written");
        symlink(version, dir.path().join("..new")).expect("a link");
        fs::rename(dir.path().join("..new"), dir.path().join("..data")).expect("renamed");
    };
    let (one, first) = Entry::generate(User::new("ann"));
    let (two, second) = Entry::generate(User::new("bob"));
    publish("..1", &format!("{first}\n"));
    symlink("..data/tokens", dir.path().join("tokens")).expect("a link");
    let (tokens, reload) = TokenFile::load(dir.path().join("tokens")).expect("tokens");
    let (sender, mut events) = mpsc::unbounded_channel();
    let reload = reload.with_interval(Duration::from_millis(5));
    let watching = tokio::spawn(reload.run(move |event| {
        assert_eq!(event.what, TokenReload::WHAT);
        let outcome = event.outcome.map_err(|error| {
            let cause = error.source().map(ToString::to_string);
            format!("{error}: {}", cause.unwrap_or_default())
        });
        sender.send(outcome).expect("open");
    }));
    let known = async || {
        let ask = |token| {
            let (tokens, review) = (tokens.clone(), Review::new(token));
            async move { tokens.authenticate(&review).await != Decision::Refused }
        };
        (ask(one.clone()).await, ask(two.clone()).await)
    };
    assert_eq!(known().await, (true, false));

    publish("..2", &second.to_string());
    assert_eq!(soon(events.recv()).await, Some(Ok(())));
    assert_eq!(known().await, (false, true));

    publish("..3", &format!("{first}\nnonsense\n"));
    let error = soon(events.recv()).await.expect("an event");
    let error = error.expect_err("it must be broken");
    let place = format!(
        "token file `{}`, line 2: ",
        dir.path().join("tokens").display()
    );
    assert_eq!(error, format!("{place}column 2: expected ident"));
    assert_eq!(known().await, (false, true));

    publish("..4", &format!("{first}\n{second}"));
    assert_eq!(soon(events.recv()).await, Some(Ok(())));
    assert_eq!(known().await, (true, true));
    watching.abort();
}
