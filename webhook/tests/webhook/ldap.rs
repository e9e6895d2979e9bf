use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use futures::future::join_all;
use insta::assert_snapshot;
use rstest::rstest;
use serde_json::{Value, json};
use tokenlab_webhook::authenticators::ldap::{Ldap, LdapConfig, LdapReload};
use tokenlab_webhook::{Authenticator as _, Decision, Review, User};
use tokio::sync::mpsc;

use crate::peer::{Webhook, shown, soon};
use crate::skipped::skip;
use directory::{Directory, SLAPD, Traffic, Way};

/// The directory.
mod directory;

/// How a user's DN is known.
#[derive(Clone, Copy, Debug)]
enum Bind {
    Template,
    Search,
}

/// A directory or none: then the test is skipped.
async fn directory(test: &str) -> Option<Directory> {
    if std::path::Path::new(SLAPD).exists() {
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
    let user = |name, group| Decision::authenticated(User::new(name).with_group(group));
    let strange = "o,brien (x)* {dn}";
    assert_eq!(ask(&ldap, strange, ":a:b:").await, user(strange, "ops"));
    assert_eq!(
        ask(&ldap, "other", "other-password").await,
        user("other", "dev")
    );

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

fn reason(decision: &Decision) -> String {
    match decision {
        Decision::Undecided { reason } => format!("undecided: {reason}"),
        Decision::Unavailable { reason } => format!("unavailable: {reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_no_refusal() {
    let Some(directory) = directory("what_cannot_be_told_is_no_refusal").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let search = || settings(&directory, Bind::Search, &url);
    let template = || settings(&directory, Bind::Template, &url);
    let told = async |settings: Value, name: &str, password: &str| {
        let (ldap, _) = load(settings);
        reason(&ask(&ldap, name, password).await)
    };

    let mut twins = search();
    twins["bind"]["search"]["filter"] = "(|(uid={username})(sn={username}))".into();
    assert_snapshot!(told(twins, "Twin", "other-password").await, @"undecided: more than one entry is the user's");
    assert_snapshot!(told(template(), "hidden", "hidden-password").await, @r#"undecided: the directory does not show users their own entry: result code 32, """#);
    let mut number = template();
    number["uidAttribute"] = "employeeNumber".into();
    assert_snapshot!(told(number, "without-number", "password").await, @"undecided: the user's entry has no value of `uidAttribute`");
    let mut nameless = template();
    nameless["usernameAttribute"] = "mail".into();
    assert_snapshot!(told(nameless, "demo-user", "demo-password").await, @"undecided: the user's entry has no value, or none that was meant, of `usernameAttribute`");
    let mut elsewhere = template();
    elsewhere["groups"]["base"] = "ou=none,dc=example,dc=org".into();
    assert_snapshot!(told(elsewhere, "demo-user", "demo-password").await, @r#"undecided: the directory does not search for groups: result code 32, """#);
    let mut stranger = search();
    stranger["bind"]["search"]["bindDn"] = "cn=stranger,dc=example,dc=org".into();
    assert_snapshot!(told(stranger, "demo-user", "demo-password").await, @"undecided: the directory does not take `bindDn` with the password of `passwordFile`");
}

#[tokio::test]
async fn only_the_right_directory_is_asked() {
    let Some(directory) = directory("only_the_right_directory_is_asked").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let plain = Way::to(directory.ldap).await;
    let told = async |settings: Value| {
        let (ldap, _) = load(settings);
        reason(&ask(&ldap, "demo-user", "demo-password").await)
    };
    let at = |url: String| settings(&directory, Bind::Template, &url);

    let url = format!("ldaps://localhost:{}", way.port);
    let mut other = at(url);
    let authority = tokenlab_webhook::pki::CertificateAuthority::new("other").expect("one");
    std::fs::write(directory.file("other.crt"), authority.certificate_pem()).expect("written");
    other["caFile"] = directory.file("other.crt").to_str().into();
    assert_snapshot!(told(other).await, @"unavailable: the directory cannot be reached: I/O error: invalid peer certificate: UnknownIssuer");
    // The certificate is for `localhost`.
    assert_snapshot!(told(at(format!("ldaps://127.0.0.1:{}", way.port))).await, @r#"unavailable: the directory cannot be reached: I/O error: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")"#);
    assert_snapshot!(told(at(format!("ldap://127.0.0.1:{}", plain.port))).await, @r#"unavailable: the directory cannot be reached: I/O error: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")"#);
    // TLS where StartTLS is spoken.
    assert_snapshot!(told(at(format!("ldaps://localhost:{}", plain.port))).await, @"unavailable: the directory cannot be reached: I/O error: tls handshake eof");
}

#[tokio::test]
async fn connections_are_few_and_kept() {
    let Some(directory) = directory("connections_are_few_and_kept").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let mut settings = settings(&directory, Bind::Search, &url);
    settings["connections"] = 2.into();
    let (ldap, _) = load(settings);
    let other = Decision::authenticated(User::new("other").with_group("dev"));
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
async fn a_directory_that_comes_back_is_asked_again() {
    let Some(mut directory) = directory("a_directory_that_comes_back_is_asked_again").await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let (ldap, _) = load(settings(&directory, Bind::Search, &url));
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    // A connection that broke while nobody used it is not the user's to suffer from.
    way.set(Traffic::Flows);
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    directory.stop().await;
    let down = reason(&ask(&ldap, "demo-user", "demo-password").await);
    assert!(
        down.starts_with("unavailable: the directory cannot be reached"),
        "{down}"
    );
    directory.restart().await;
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_not_waited_for() {
    let Some(directory) = directory("a_directory_that_does_not_answer_is_not_waited_for").await
    else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let mut settings = settings(&directory, Bind::Search, &url);
    settings["timeout"] = "200ms".into();
    settings["connections"] = 1.into();
    let (ldap, _) = load(settings);
    way.set(Traffic::Hangs);
    // The second has to wait for the first's connection, and no longer than that.
    let both = [(); 2].map(|()| ask(&ldap, "demo-user", "demo-password"));
    for decision in join_all(both).await {
        assert_eq!(
            reason(&decision),
            "unavailable: the directory did not answer within 200ms"
        );
    }
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
    assert_eq!(
        write("reader-password").await,
        ("directory's files", Ok(()))
    );
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    let (_, outcome) = write("\n").await;
    let error = outcome.expect_err("no password");
    assert_eq!(error, format!("no password is in `{}`", file.display()));
    assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    watching.abort();
}
