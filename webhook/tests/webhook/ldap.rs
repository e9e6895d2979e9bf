use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use futures::future::join_all;
use insta::assert_snapshot;
use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::{Value, json};
use tokenlab_webhook::authenticators::ldap::{Ldap, LdapConfig, LdapReload};
use tokenlab_webhook::{Authenticator as _, Decision, Review, User};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::peer::{Webhook, client, shown, soon, url as url_of};
use crate::program::{PROGRAM, Program};
use crate::skipped::skip;
use directory::{Directory, SCHEMA, SLAPD, Way};

/// The directory.
mod directory;
/// A listener that wants to do without TLS.
mod stripping;
/// What a refusal's time tells.
mod time;
/// A directory that cannot be asked, or says what fits no user.
mod trouble;

/// How a user's DN is known.
#[derive(Clone, Copy, Debug)]
enum Bind {
    Template,
    Search,
}

/// A directory or none: then the test is skipped.
async fn directory(test: &str) -> Option<Directory> {
    // Other systems have slapd elsewhere, or what belongs to it.
    if [SLAPD, SCHEMA]
        .map(Path::new)
        .iter()
        .all(|path| path.exists())
    {
        return Some(Directory::start().await);
    }
    skip(
        &format!("ldap::{test}"),
        "no slapd (Debian's package `slapd`)",
    );
    None
}

/// Settings for a directory at `url`, as JSON.
fn settings(directory: &Directory, bind: Bind, url: &str) -> Value {
    let bind = match bind {
        Bind::Template => json!({"template": "uid={username},ou=people,dc=example,dc=org"}),
        Bind::Search => json!({"search": {
            "base": "ou=people,dc=example,dc=org",
            "bindDn": "cn=reader,dc=example,dc=org",
            "passwordFile": directory.file("reader.password"),
        }}),
    };
    json!({
        "url": url,
        "caFile": directory.file("ca.crt"),
        "bind": bind,
        "groups": {"base": "ou=groups,dc=example,dc=org"},
        "timeout": "20s",
    })
}

fn load(settings: Value) -> (Ldap, LdapReload) {
    let config: LdapConfig = serde_json::from_value(settings).expect("settings");
    Ldap::load(config).expect("usable")
}

async fn ask(ldap: &Ldap, username: &str, password: &str) -> Decision {
    let token = STANDARD.encode(format!("{username}:{password}"));
    soon(ldap.authenticate(&Review::new(token))).await
}

/// As whoever searches sees that one.
fn other() -> User {
    User::new("other").with_groups(["dev", "secret"])
}

fn demo_user() -> Decision {
    Decision::authenticated(User::new("demo-user").with_groups(["dev", "ops"]))
}

#[rstest]
#[case::ldaps("ldaps", Bind::Template)]
#[case::ldaps_search("ldaps", Bind::Search)]
#[case::starttls("ldap", Bind::Template)]
#[case::starttls_search("ldap", Bind::Search)]
#[tokio::test]
async fn the_tutorials_user(#[case] scheme: &str, #[case] bind: Bind) {
    let Some(directory) = directory("the_tutorials_user").await else {
        return;
    };
    let target = match scheme {
        "ldaps" => directory.ldaps,
        _ => directory.ldap,
    };
    let way = Way::to(target).await;
    let url = format!("{scheme}://localhost:{}", way.port);
    let mut settings = settings(&directory, bind, &url);
    settings["uidAttribute"] = "employeeNumber".into();
    let (ldap, _) = load(settings);
    let webhook = Webhook::start(ldap).await;
    let review = |token: &str| {
        let spec = json!({"token": token});
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})
    };
    let known = webhook
        .post(review("ZGVtby11c2VyOmRlbW8tcGFzc3dvcmQ=").to_string())
        .await;
    let wrong = STANDARD.encode("demo-user:wrong");
    let refused = webhook.post(review(&wrong).to_string()).await;
    let (known, refused) = (shown(known).await, shown(refused).await);
    insta::allow_duplicates!({
        assert_snapshot!(known, @r#"
        200 OK, application/json
        {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"demo-user","uid":"7","groups":["dev","ops"]}}}
        "#);
        assert_snapshot!(refused, @r#"
        200 OK, application/json
        {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false}}
        "#);
    });
}

#[rstest]
#[case::template(Bind::Template)]
#[case::search(Bind::Search)]
#[tokio::test]
async fn who_is_known(#[case] bind: Bind) {
    let Some(directory) = directory("who_is_known").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let (ldap, _) = load(settings(&directory, bind, &url));

    for name in ["demo-user", "DEMO-User", " demo-user "] {
        assert_eq!(ask(&ldap, name, "demo-password").await, demo_user());
    }
    let strange = "o,brien (x)* {dn}";
    let user = User::new(strange).with_group("ops");
    let decision = ask(&ldap, strange, ":a:b:").await;
    assert_eq!(decision, Decision::authenticated(user));
    // One group is shown to whoever searches alone.
    let user = match bind {
        Bind::Template => User::new("other").with_group("dev"),
        Bind::Search => other(),
    };
    let decision = ask(&ldap, "other", "other-password").await;
    assert_eq!(decision, Decision::authenticated(user));

    for (name, password) in [
        ("demo-user", "wrong"),
        ("demo-user", "other-password"),
        ("demo-user", ""),
        ("demo-user", "demo-password "),
        ("nobody", "demo-password"),
        ("nobody", ""),
        ("without-password", ""),
        ("without-password", "x"),
        ("*", "demo-password"),
        ("demo*", "demo-password"),
        ("demo-user)(uid=*", "demo-password"),
        ("nobody)(|(uid=demo-user)", "demo-password"),
        ("demo-user,ou=people", "demo-password"),
        ("demo-user,ou=people,dc=example,dc=org", "demo-password"),
        ("demo-user+cn=Demo User", "demo-password"),
        ("other,ou=people,dc=example,dc=org\\", "other-password"),
        ("{username}", "demo-password"),
    ] {
        let decision = ask(&ldap, name, password).await;
        assert_eq!(decision, Decision::Refused, "{name}");
    }
    // The same connection all the time: what failed on it harms nobody.
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    assert_eq!(way.connections(), 1);
}

#[tokio::test]
async fn groups_by_the_users_name() {
    let Some(directory) = directory("groups_by_the_users_name").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let mut settings = settings(&directory, Bind::Template, &url);
    settings["groups"]["filter"] = "(sn={username})".into();
    let (ldap, _) = load(settings);
    let user = User::new("demo-user").with_group("by-name");
    let decision = ask(&ldap, "demo-user", "demo-password").await;
    assert_eq!(decision, Decision::authenticated(user));
}

fn reason(decision: &Decision) -> String {
    match decision {
        Decision::Undecided { reason } => format!("undecided: {reason}"),
        Decision::Unavailable { reason } => format!("unavailable: {reason}"),
        other => panic!("{other:?}"),
    }
}

/// The whole program, at its most talkative, and all ways in which a login ends.
#[tokio::test]
async fn the_program_asks_it_and_logs_no_password() {
    let Some(mut directory) = directory("the_program_asks_it_and_logs_no_password").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let file = directory.file("webhook.yaml");
    let ldap = settings(&directory, Bind::Search, &url);
    // JSON is YAML.
    let config = json!({"ldap": ldap, "ldapCache": {"positive": {"capacity": 8, "ttl": "1h"}, "negative": {"capacity": 8, "ttl": "1h"}}});
    std::fs::write(&file, config.to_string()).expect("written");
    let mut command = Command::new(PROGRAM);
    command.args([
        "serve",
        "--plain-http",
        "--listen",
        "127.0.0.1:0",
        "--config",
    ]);
    command
        .arg(&file)
        .arg("--no-client-certificates")
        .env("TOKENLAB_LOG", "trace");
    let program = Program::start(&mut command).await;
    let client = client(program.address, None).build().expect("a client");
    let post = async |login: &str| {
        let spec = json!({"token": STANDARD.encode(login)});
        let kind = "TokenReview";
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": kind, "spec": spec});
        let request = client.post(url_of("/authenticate", program.address, false));
        let request = request.header("content-type", "application/json");
        shown(
            soon(request.body(body.to_string()).send())
                .await
                .expect("an answer"),
        )
        .await
    };
    let known = post("demo-user:demo-password").await;
    assert!(known.contains(r#""groups":["dev","ops"]"#), "{known}");
    let refused = post("demo-user:demo-passwort").await;
    assert!(refused.contains(r#""authenticated":false"#), "{refused}");
    directory.stop().await;
    let down = post("other:other-password").await;
    assert!(down.starts_with("503"), "{down}");
    // Both were remembered.
    assert_eq!(post("demo-user:demo-password").await, known);
    assert_eq!(post("demo-user:demo-passwort").await, refused);

    program.signal(Signal::SIGTERM);
    let (status, stderr) = program.end().await;
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("demo-user"), "{stderr}");
    // invalidCredentials
    assert!(stderr.contains("code=49"), "{stderr}");
    for secret in ["demo-passwor", "reader-password", "ZGVtby11c2Vy"] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
}

#[rstest]
#[case::ldaps("ldaps")]
#[case::starttls("ldap")]
#[tokio::test]
async fn connections_are_few_and_kept(#[case] scheme: &str) {
    let Some(directory) = directory("connections_are_few_and_kept").await else {
        return;
    };
    let target = match scheme {
        "ldaps" => directory.ldaps,
        _ => directory.ldap,
    };
    let way = Way::to(target).await;
    let url = format!("{scheme}://localhost:{}", way.port);
    let mut settings = settings(&directory, Bind::Search, &url);
    settings["connections"] = 2.into();
    let (ldap, _) = load(settings);
    let other = Decision::authenticated(other());
    for _ in 0..3 {
        // No two users are taken for one another on the connections that they share.
        join_all((0..30).map(async |n| match n % 3 {
            0 => assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user()),
            1 => assert_eq!(ask(&ldap, "other", "other-password").await, other),
            _ => assert_eq!(ask(&ldap, "other", "wrong").await, Decision::Refused),
        }))
        .await;
        assert_eq!(way.connections(), 2);
    }
}

#[tokio::test]
async fn one_that_is_left_in_the_middle_is_not_used_again() {
    let Some(directory) = directory("one_that_is_left_in_the_middle_is_not_used_again").await
    else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let mut settings = settings(&directory, Bind::Search, &url);
    settings["connections"] = 1.into();
    let (ldap, _) = load(settings);
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    let review = Review::new(STANDARD.encode("other:other-password"));
    // Its caller goes away while it waits for the directory's first word.
    assert!(ldap.authenticate(&review).now_or_never().is_none());
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    assert_eq!(way.connections(), 2);
}

#[tokio::test]
async fn a_new_password_is_taken() {
    let Some(directory) = directory("a_new_password_is_taken").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let file = directory.file("reader.password");
    std::fs::write(&file, "old").expect("written");
    let (ldap, reload) = load(settings(&directory, Bind::Search, &url));
    let (sender, mut events) = mpsc::unbounded_channel();
    let reload = reload.with_interval(Duration::from_millis(5));
    let watching = tokio::spawn(reload.run(move |event| {
        let outcome = event.outcome.map_err(|error| error.to_string());
        sender.send((event.what, outcome)).expect("open");
    }));
    let told = reason(&ask(&ldap, "demo-user", "demo-password").await);
    assert!(told.contains("`passwordFile`"), "{told}");

    let mut write = async |password: &str| {
        let draft = directory.file("draft");
        std::fs::write(&draft, password).expect("written");
        std::fs::rename(&draft, &file).expect("renamed");
        soon(events.recv()).await.expect("an event")
    };
    assert_eq!(write("reader-password").await, (LdapReload::WHAT, Ok(())));
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    // What was opened by the old files is not used by the new.
    assert_eq!(way.connections(), 2);
    let (_, outcome) = write("reader-password\n").await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    assert_eq!(way.connections(), 3);
    let (_, outcome) = write("\n").await;
    let error = outcome.expect_err("no password");
    assert_eq!(error, format!("no password is in `{}`", file.display()));
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    watching.abort();
}
