use std::fs;
use std::time::Duration;

use insta::assert_snapshot;
use rstest::rstest;
use tempfile::TempDir;
use tokenlab_webhook::{Limits, Mock};
use tokio::process::Command;

use crate::peer::{TUTORIAL, Webhook, client, url};
use crate::program::{PROGRAM, Program, run};
use crate::serve::material;

/// Each says how large a body may be; a review has more than 10 octets.
#[rstest]
#[case::none("", None, None, 200)]
#[case::file("maxBodyOctets: 10", None, None, 413)]
#[case::variable_over_file("maxBodyOctets: 10", Some("1000"), None, 200)]
#[case::variable("", Some("10"), None, 413)]
#[case::flag_over_variable("", Some("10"), Some("1000"), 200)]
#[case::flag_over_both("maxBodyOctets: 10", Some("10"), Some("1000"), 200)]
#[case::flag("", None, Some("10"), 413)]
#[tokio::test]
async fn a_flag_beats_a_variable_beats_the_file(
    #[case] file: &str,
    #[case] variable: Option<&str>,
    #[case] flag: Option<&str>,
    #[case] status: u16,
) {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("webhook.yaml");
    let text = format!("listen: 127.0.0.1:0\nmock: true\nplainHttp: true\n{file}\n");
    fs::write(&path, text).expect("written");
    let mut command = Command::new(PROGRAM);
    command.arg("serve").arg("--config").arg(path);
    command.env("TOKENLAB_LOG", "info");
    if let Some(octets) = variable {
        command.env("TOKENLAB_WEBHOOK_MAX_BODY_OCTETS", octets);
    }
    if let Some(octets) = flag {
        command.args(["--max-body-octets", octets]);
    }
    let program = Program::start(&mut command).await;
    let client = client(program.address, None).build().expect("a client");
    let request = client.post(url("/authenticate", program.address, false));
    let response = request.body(TUTORIAL).send().await.expect("a response");
    assert_eq!(response.status(), status);
}

#[rstest]
#[case::mock("mock: true\nplainHttp: true\n", "--mock=false", "nobody decides")]
#[case::plain_http(
    "mock: true\nplainHttp: true\n",
    "--plain-http=false",
    "no certificate to show"
)]
#[case::any_client(
    "tokenFile: t\nplainHttp: true\nnoClientCertificates: true\n",
    "--no-client-certificates=false",
    "any client could ask"
)]
#[tokio::test]
async fn what_the_file_turns_on_a_flag_turns_off(
    #[case] file: &str,
    #[case] flag: &str,
    #[case] error: &str,
) {
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join("webhook.yaml"), file).expect("written");
    let check = ["check-config", "--config", "webhook.yaml"];
    let on = run(&check, dir.path()).await;
    assert!(!on.contains(error), "{on}");
    let off = run(&[&check[..], &[flag]].concat(), dir.path()).await;
    assert!(off.contains(error), "{off}");
}

/// Who listens everywhere listens there, too.
#[rstest]
#[case::default(&[], "127.0.0.1:8443", true)]
#[case::the_same(&["--listen=127.0.0.1:7"], "127.0.0.1:7", true)]
#[case::one_of_all(&["--listen=0.0.0.0:7"], "127.0.0.1:7", true)]
#[case::all(&["--listen=127.0.0.1:7"], "[::]:7", true)]
#[case::other_port(&["--listen=127.0.0.1:7"], "127.0.0.1:8", false)]
#[case::other_address(&["--listen=127.0.0.1:7"], "127.0.0.2:7", false)]
#[case::other_family(&["--listen=[::1]:7"], "0.0.0.0:7", false)]
#[case::free_ports(&["--listen=127.0.0.1:0"], "127.0.0.1:0", false)]
#[tokio::test]
async fn two_do_not_listen_at_one_place(
    #[case] listen: &[&str],
    #[case] health: &str,
    #[case] refused: bool,
) {
    let dir = TempDir::new().expect("a folder");
    let check = [
        "check-config",
        "--mock",
        "--plain-http",
        "--health-listen",
        health,
    ];
    let text = run(&[&check[..], listen].concat(), dir.path()).await;
    let error = "error: `--health-listen` is where reviews come in";
    assert_eq!(text.contains(error), refused, "{text}");
    assert!(
        text.starts_with(if refused {
            "exit_code: 2"
        } else {
            "exit_code: 0"
        }),
        "{text}"
    );
}

#[tokio::test]
async fn files_that_are_wrong() {
    let dir = TempDir::new().expect("a folder");
    let check = async |text: &str| {
        fs::write(dir.path().join("w.yaml"), text).expect("written");
        let text = run(&["check-config", "--config", "w.yaml"], dir.path()).await;
        let (head, error) = text.split_once("----- stderr -----\n").expect("stderr");
        assert_eq!(head, "exit_code: 2\n----- stdout -----\n");
        error.to_owned()
    };
    let mut all = String::new();
    for text in [
        "mock: true\nlisten: localhost:80\n",
        "mock: true\n\nreviewTimeout: 5\n",
        "mock: maybe\n",
        "allowReserved: \"yes\"\n",
        "tlsMinVersion: VersionTLS11\n",
        "mock: true\nmock: true\n",
        "log: loud\n",
        "mock: true\nldapLimit:\n  atOnce: 0\n",
        "mock: true\nmaxInFlight: -1\n",
        "- mock\n",
        "mock: [\n",
        "mock: true\nlistne: 0.0.0.0:8443\n",
    ] {
        let error = check(text).await;
        // All settings stand between.
        let error = match error.split_once(", expected one of `log`,") {
            Some((error, all)) => format!("{error}{}", &all[all.rfind(" at ").expect("a place")..]),
            None => error,
        };
        all = format!("{all}{}\n", error.trim_end());
    }
    assert_snapshot!(all, @r#"
    error: configuration `w.yaml`: invalid socket address syntax at line 2, column 9
    error: configuration `w.yaml`: `5` is no duration: write it like `500ms`, `10s` or `1m30s` at line 3, column 16
    error: configuration `w.yaml`: invalid type: string "maybe", expected a boolean at line 1, column 7
    error: configuration `w.yaml`: invalid type: string "yes", expected a boolean at line 1, column 16
    error: configuration `w.yaml`: unknown variant `VersionTLS11`, expected `VersionTLS12` or `VersionTLS13` at line 1, column 16
    error: configuration `w.yaml`: `mock` is there twice at line 2, column 1
    error: configuration `w.yaml`: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5 at line 1, column 6
    error: configuration `w.yaml`: invalid value: integer `0`, expected a nonzero usize at line 3, column 11
    error: configuration `w.yaml`: invalid value: integer `-1`, expected a nonzero usize at line 2, column 14
    error: configuration `w.yaml`: expected a mapping at line 1, column 1
    error: configuration `w.yaml`: unclosed bracket '[' at line 1, column 7
    error: configuration `w.yaml`: unknown field `listne` at line 2, column 1
    "#);
}

/// `ldap` is looked at where it is read.
#[cfg(feature = "ldap")]
#[rstest]
#[case::url(
    "url: https://x",
    "`url` is neither `ldaps://HOST[:PORT]` nor `ldap://HOST[:PORT]` at line 3, column 8"
)]
#[case::ipv6(
    "url: ldaps://[::1]",
    "`url` has an IPv6 address in it; a name is needed, which the certificate must have at line 3, column 8"
)]
#[case::template(
    "bind:\n    template: uid=x",
    "`bind.template` has no `{username}` in it at line 4, column 15"
)]
#[case::groups(
    "groups:\n    base: x\n    filter: (cn={dn}",
    "`groups.filter` is not an LDAP filter (RFC 4515) at line 5, column 13"
)]
#[tokio::test]
async fn a_directory_that_is_wrong(#[case] wrong: &str, #[case] expected: &str) {
    let dir = TempDir::new().expect("a folder");
    fs::write(
        dir.path().join("w.yaml"),
        format!("plainHttp: true\nldap:\n  {wrong}\n"),
    )
    .expect("written");
    let text = run(&["check-config", "--config", "w.yaml"], dir.path()).await;
    assert!(text.starts_with("exit_code: 2\n"), "{text}");
    assert!(
        text.contains(&format!("error: configuration `w.yaml`: {expected}\n")),
        "{text}"
    );
}

#[tokio::test]
async fn what_does_not_fit_together() {
    let dir = TempDir::new().expect("a folder");
    let text = "mock: true\n# for a start\nplainHttp: true\ntlsCertFile: tls.crt\n";
    fs::write(dir.path().join("w.yaml"), text).expect("written");
    let text = "clientCaFile: ca.crt\nclientName: []\n";
    fs::write(dir.path().join("n.yaml"), text).expect("written");
    let text = "mock: true\nldapLimit:\n\n  atOnce: 1\n";
    fs::write(dir.path().join("l.yaml"), text).expect("written");
    let mut all = String::new();
    for args in [
        "",
        "--mock",
        "--mock --token-file t",
        "--mock --plain-http --client-ca-file c",
        "--mock --tls-cert-file c",
        "--mock --tls-private-key-file k",
        "--mock --tls-cert-file c --tls-private-key-file k --client-name n",
        "--token-file t --tls-cert-file c --tls-private-key-file k",
        "--token-file t --plain-http",
        "--mock --plain-http --idle-timeout 0s",
        "--mock --plain-http --drain-timeout 0s",
        "--mock --plain-http --max-head-octets 0",
        "--mock --tls-cert-file c --tls-private-key-file k --client-ca-file a --client-name=",
        "--mock --tls-cert-file c --tls-private-key-file k --client-ca-file a --client-name=n,",
        "--mock --tls-cert-file c --tls-private-key-file k --config n.yaml",
        "--mock --tls-cert-file c --tls-private-key-file k --client-ca-file a --no-client-certificates",
        "--config w.yaml",
        "--config w.yaml --plain-http=false",
        "--config l.yaml",
    ] {
        let words: Vec<_> = ["serve"]
            .into_iter()
            .chain(args.split_whitespace())
            .collect();
        let text = run(&words, dir.path()).await;
        let (head, error) = text.split_once("----- stderr -----\n").expect("stderr");
        assert_eq!(head, "exit_code: 2\n----- stdout -----\n", "{args}");
        let (error, _) = error.split_once("\n\n").unwrap_or((error.trim_end(), ""));
        all = format!("{all}{args}\n    {error}\n");
    }
    assert_snapshot!(all, @"
        error: nobody decides whose a token is
    --mock
        error: there is no certificate to show
    --mock --token-file t
        error: `--mock` cannot be used with `--token-file`
    --mock --plain-http --client-ca-file c
        error: `--plain-http` cannot be used with `--client-ca-file`
    --mock --tls-cert-file c
        error: `--tls-cert-file` is of no use without `--tls-private-key-file`
    --mock --tls-private-key-file k
        error: `--tls-private-key-file` is of no use without `--tls-cert-file`
    --mock --tls-cert-file c --tls-private-key-file k --client-name n
        error: `--client-name` is of no use without `--client-ca-file`
    --token-file t --tls-cert-file c --tls-private-key-file k
        error: any client could ask whose a token is
    --token-file t --plain-http
        error: any client could ask whose a token is
    --mock --plain-http --idle-timeout 0s
        error: `--idle-timeout` must be more than 0s
    --mock --plain-http --drain-timeout 0s
        error: `--drain-timeout` must be more than 0s
    --mock --plain-http --max-head-octets 0
        error: `--max-head-octets` must be at least 1024
    --mock --tls-cert-file c --tls-private-key-file k --client-ca-file a --client-name=
        error: `--client-name` names nobody
    --mock --tls-cert-file c --tls-private-key-file k --client-ca-file a --client-name=n,
        error: `--client-name` names nobody
    --mock --tls-cert-file c --tls-private-key-file k --config n.yaml
        error: `clientName` (`n.yaml`, line 2) names nobody
    --mock --tls-cert-file c --tls-private-key-file k --client-ca-file a --no-client-certificates
        error: `--no-client-certificates` cannot be used with `--client-ca-file`
    --config w.yaml
        error: `plainHttp` (`w.yaml`, line 3) cannot be used with `tlsCertFile` (`w.yaml`, line 4)
    --config w.yaml --plain-http=false
        error: `tlsCertFile` (`w.yaml`, line 4) is of no use without `--tls-private-key-file`
    --config l.yaml
        error: `ldapLimit` (`l.yaml`, line 2) is of no use without `ldap`
    ");
}

#[tokio::test]
async fn what_is_right() {
    let dir = material();
    let text = "\
tokenFile: tokens
listen: 0.0.0.0:8443
healthListen: 0.0.0.0:8081
tlsCertFile: tls.crt
tlsPrivateKeyFile: tls.key
clientCaFile: ca.crt
clientName: [kube-apiserver, front-proxy]
shutdownDelay: 5s
logFormat: json
";
    fs::write(dir.path().join("w.yaml"), text).expect("written");
    let check = async || run(&["check-config", "--config", "w.yaml"], dir.path()).await;
    assert_snapshot!(check().await, @"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot use the token file: cannot read `tokens`: No such file or directory (os error 2)
    ");
    fs::write(dir.path().join("tokens"), "# none yet\n").expect("written");
    let mut settings = insta::Settings::clone_current();
    // Some days from now.
    settings.add_filter(r"until \S+", "until [TIME]");
    let _filtered = settings.bind_to_scope();
    assert_snapshot!(check().await, @"
    exit_code: 0
    ----- stdout -----
    decides: token-file
    certificate: until [TIME]
    clients: with a certificate for kube-apiserver or front-proxy
    ----- stderr -----
    ");
    let all = text.replace("clientName: [kube-apiserver, front-proxy]\n", "");
    fs::write(dir.path().join("w.yaml"), all).expect("written");
    assert_snapshot!(check().await, @"
    exit_code: 0
    ----- stdout -----
    decides: token-file
    certificate: until [TIME]
    clients: any with a certificate of the client CA
    ----- stderr -----
    ");
}

/// As somebody writes who wants none of them.
#[tokio::test]
async fn limits_that_no_clock_can_count_to() {
    let mut limits = Limits::default();
    for limit in [
        &mut limits.handshake,
        &mut limits.head,
        &mut limits.idle,
        &mut limits.drain,
        &mut limits.linger,
        &mut limits.ping_interval,
        &mut limits.ping_timeout,
    ] {
        *limit = Duration::MAX;
    }
    // Over HTTP/2.
    let webhook = Webhook::configured(Mock, |server| server.with_limits(limits)).await;
    assert_eq!(webhook.post(TUTORIAL).await.status(), 200);
}
