use insta::assert_snapshot;
use rstest::rstest;
use tempfile::TempDir;
use tokio::process::Command;

use crate::peer::soon;
use crate::program::PROGRAM;

/// What a command says on stderr with this variable, and how it ends.
async fn told(args: &[&str], name: &str, value: &str) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    let command = command.args(args).env(name, value).kill_on_drop(true);
    let output = soon(command.output()).await.expect("a program");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    (output.status.code(), stderr)
}

const CHECK: [&str; 3] = ["check-config", "--mock", "--plain-http"];

/// A limit that is misspelt would not be there.
#[tokio::test]
async fn a_variable_that_sets_nothing_is_refused() {
    for command in ["serve", "check-config"] {
        let args = [command, "--mock", "--plain-http"];
        let (code, stderr) = told(&args, "TOKENLAB_WEBHOOK_CLIENT_NAMES", "secret").await;
        assert_eq!(code, Some(2), "{stderr}");
        let (error, _) = stderr.split_once('\n').expect("a line");
        insta::allow_duplicates!(
            assert_snapshot!(error, @"error: the variable `TOKENLAB_WEBHOOK_CLIENT_NAMES` is no setting")
        );
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

#[rstest]
#[case::a_setting("TOKENLAB_WEBHOOK_MAX_IN_FLIGHT", "7")]
#[case::of_the_lab("TOKENLAB_WEBHOOK_TLS_KEY_FILE", "k")]
#[case::of_another_program("TOKENLAB_OTHER", "1")]
#[case::port("TOKENLAB_WEBHOOK_PORT", "tcp://10.96.0.53:443")]
#[case::port_of_a_protocol("TOKENLAB_WEBHOOK_PORT_443_TCP_ADDR", "10.96.0.53")]
#[case::host("TOKENLAB_WEBHOOK_SERVICE_HOST", "10.96.0.53")]
#[case::named_port("TOKENLAB_WEBHOOK_SERVICE_PORT_HTTPS", "443")]
#[case::longer("TOKENLAB_WEBHOOK_CANARY_PORT_443_TCP", "tcp://10.96.0.53:443")]
#[tokio::test]
async fn others_are_not(#[case] name: &str, #[case] value: &str) {
    let (code, stderr) = told(&CHECK, name, value).await;
    assert_eq!(code, Some(0), "{stderr}");
}

/// Settings are for who serves.
#[tokio::test]
async fn other_commands_do_not_care() {
    let dir = TempDir::new().expect("a folder");
    let out = dir.path().to_str().expect("UTF-8");
    let args = ["certs", "--out", out];
    let (code, stderr) = told(&args, "TOKENLAB_WEBHOOK_CLIENT_NAMES", "n").await;
    assert_eq!(code, Some(0), "{stderr}");
}

/// What is to be changed is named: a variable, or the flag that beats it.
#[tokio::test]
async fn a_wrong_value_is_told_with_its_variable() {
    let mut all = String::new();
    for (name, value) in [
        ("TOKENLAB_WEBHOOK_LISTEN", "localhost"),
        ("TOKENLAB_WEBHOOK_MOCK", ""),
        ("TOKENLAB_WEBHOOK_MOCK", "maybe"),
        ("TOKENLAB_WEBHOOK_IDLE_TIMEOUT", "5"),
        ("TOKENLAB_LOG", "loud"),
    ] {
        let (code, stderr) = told(&["check-config"], name, value).await;
        assert_eq!(code, Some(2), "{stderr}");
        let (error, _) = stderr.split_once('\n').expect("a line");
        all = format!("{all}{error}\n");
    }
    let args = ["check-config", "--listen=here"];
    let (code, stderr) = told(&args, "TOKENLAB_WEBHOOK_LISTEN", "there").await;
    assert_eq!(code, Some(2), "{stderr}");
    let (error, _) = stderr.split_once('\n').expect("a line");
    assert_snapshot!(format!("{all}{error}"), @r#"
    error: invalid value 'localhost' for 'TOKENLAB_WEBHOOK_LISTEN': invalid socket address syntax
    error: a value is required for 'TOKENLAB_WEBHOOK_MOCK' but none was supplied
    error: invalid value 'maybe' for 'TOKENLAB_WEBHOOK_MOCK'
    error: invalid value '5' for 'TOKENLAB_WEBHOOK_IDLE_TIMEOUT': `5` is no duration: write it like `500ms`, `10s` or `1m30s`
    error: invalid value 'loud' for 'TOKENLAB_LOG': error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
    error: invalid value 'here' for '--listen <ADDRESS>': invalid socket address syntax
    "#);
}
