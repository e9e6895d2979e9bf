use futures::future::join_all;
use insta::assert_snapshot;
use rstest::rstest;
use serde_json::{Value, json};

use super::directory::{Traffic, Way};
use super::{Bind, ask, demo_user, directory, load, reason, settings};

#[tokio::test]
async fn what_cannot_be_told_is_no_refusal() {
    let Some(directory) = directory("trouble::what_cannot_be_told_is_no_refusal").await else {
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
    assert_snapshot!(told(nameless, "demo-user", "demo-password").await, @"undecided: the user's entry has no value of `usernameAttribute`");
    let mut elsewhere = template();
    elsewhere["groups"]["base"] = "ou=none,dc=example,dc=org".into();
    assert_snapshot!(told(elsewhere, "demo-user", "demo-password").await, @r#"undecided: the directory does not search for groups: result code 32, """#);
    // Which of two names would be the user's choice.
    for name in ["two-names", "alias"] {
        let told = told(search(), name, "two-password").await;
        insta::allow_duplicates!(
            assert_snapshot!(told, @"undecided: the user's entry has more than one value of `usernameAttribute`")
        );
    }
    let mut limited = search();
    limited["groups"] = json!({"base": "dc=example,dc=org", "filter": "(|(member={dn})(cn=*))"});
    assert_snapshot!(told(limited, "demo-user", "demo-password").await, @r#"undecided: the directory does not search for groups: result code 4, """#);
    let mut nowhere = template();
    nowhere["bind"]["template"] = "uid={username},ou=people,dc".into();
    assert_snapshot!(told(nowhere, "demo-user", "demo-password").await, @r#"undecided: the directory does not check the password: result code 34, "invalid DN""#);
    let mut referred = search();
    referred["groups"]["base"] = "ou=elsewhere,ou=people,dc=example,dc=org".into();
    assert_snapshot!(told(referred, "demo-user", "demo-password").await, @r#"undecided: the directory does not search for groups: result code 10, """#);
    let mut stranger = search();
    stranger["bind"]["search"]["bindDn"] = "cn=stranger,dc=example,dc=org".into();
    assert_snapshot!(told(stranger, "demo-user", "demo-password").await, @"undecided: the directory does not take `bindDn` with the password of `passwordFile`");
}

#[tokio::test]
async fn only_the_right_directory_is_asked() {
    let Some(directory) = directory("trouble::only_the_right_directory_is_asked").await else {
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
async fn a_directory_that_comes_back_is_asked_again() {
    let Some(mut directory) =
        directory("trouble::a_directory_that_comes_back_is_asked_again").await
    else {
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
    let Some(directory) =
        directory("trouble::a_directory_that_does_not_answer_is_not_waited_for").await
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

/// As with a firewall that has forgotten the connections.
#[rstest]
#[case::template(Bind::Template)]
#[case::search(Bind::Search)]
#[tokio::test]
async fn open_connections_that_are_silent_are_not_the_users_to_suffer_from(#[case] bind: Bind) {
    let name = "trouble::open_connections_that_are_silent_are_not_the_users_to_suffer_from";
    let Some(directory) = directory(name).await else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let mut settings = settings(&directory, bind, &url);
    settings["timeout"] = "12s".into();
    let (ldap, _) = load(settings);
    join_all([(); 4].map(|()| ask(&ldap, "demo-user", "demo-password"))).await;
    let before = way.connections();
    way.set(Traffic::Forgets);
    for _ in 0..4 {
        assert_eq!(ask(&ldap, "demo-user", "demo-password").await, demo_user());
    }
    // The first of them showed what the others were worth.
    assert_eq!(way.connections(), before + 1);
}
