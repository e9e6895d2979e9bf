use futures::future::join_all;
use insta::assert_snapshot;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::peer::soon;

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
    // Nobody chooses whose name it is.
    for name in ["two-names", "alias"] {
        let told = told(search(), name, "two-password").await;
        assert_eq!(
            told,
            "undecided: the user's entry has more than one value of `usernameAttribute`"
        );
    }
    let mut no_name = template();
    no_name["bind"]["template"] = "{username}".into();
    assert_snapshot!(told(no_name, "demo-user", "demo-password").await, @r#"undecided: the directory does not check the password: result code 34, "invalid DN""#);
    let mut elsewhere = template();
    elsewhere["groups"]["base"] = "ou=none,dc=example,dc=org".into();
    assert_snapshot!(told(elsewhere, "demo-user", "demo-password").await, @r#"undecided: the directory does not search for groups: result code 32, """#);
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

#[tokio::test]
async fn connections_that_were_forgotten_cost_no_review() {
    let Some(directory) =
        directory("trouble::connections_that_were_forgotten_cost_no_review").await
    else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let url = format!("ldaps://localhost:{}", way.port);
    let (ldap, _) = load(settings(&directory, Bind::Search, &url));
    let all = || join_all([(); 3].map(|()| ask(&ldap, "demo-user", "demo-password")));
    all().await;
    let open = way.connections();
    // Nothing ends them, and nothing comes through any more.
    way.set(Traffic::Forgets);
    for decision in all().await {
        assert_eq!(decision, demo_user());
    }
    assert!(way.connections() > open);
}

/// `StartTLS` is answered by `code`, as whoever is on the way can; nothing is said before TLS.
#[rstest]
#[case::protocol_error(2)]
#[case::unavailable(52)]
#[case::success_without_tls(0)]
#[tokio::test]
async fn a_directory_without_tls_gets_no_password(#[case] code: u8) {
    let authority = tokenlab_webhook::pki::CertificateAuthority::new("directory").expect("one");
    let folder = tempfile::TempDir::new().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, authority.certificate_pem()).expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut heard = vec![0; 1024];
        let length = stream.read(&mut heard).await.expect("StartTLS");
        heard.truncate(length);
        // The ExtendedResponse to message 1 (RFC 4511, 4.12), and to whatever follows a
        // BindResponse that takes any password.
        let response = [0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, code, 4, 0, 4, 0];
        stream.write_all(&response).await.expect("written");
        let bound = [0x30, 12, 2, 1, 2, 0x61, 7, 10, 1, 0, 4, 0, 4, 0];
        stream.write_all(&bound).await.ok();
        stream.read_to_end(&mut heard).await.ok();
        heard
    });
    let (ldap, _) = load(json!({
        "url": format!("ldap://localhost:{port}"),
        "caFile": ca,
        "bind": {"template": "uid={username},dc=example,dc=org"},
        "timeout": "10s",
    }));
    let told = reason(&ask(&ldap, "demo-user", "demo-password").await);
    assert!(told.starts_with("unavailable: "), "{told}");
    let heard = soon(heard).await.expect("octets");
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.contains("1.3.6.1.4.1.1466.20037"), "{heard}");
    assert!(!heard.contains("demo-"), "{heard}");
}
