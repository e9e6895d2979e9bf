//! Flags that a real kube-apiserver refuses.

use std::net::TcpListener;

use tokenlab_harness::Output;
use tokenlab_harness::{CONFIG_FILE_FLAG, Lab};

use crate::filters::assert_text;
use crate::home::Home;
use crate::owner::{ended, owner, report, reported};

const FLAG: &str = "TOKENLAB_TEST_FLAG";
const VALUE: &str = "TOKENLAB_TEST_VALUE";

#[tokio::test]
#[ignore = "an owner: started by the tests of this file"]
async fn owner_of_a_lab_with_a_flag() {
    let Some(report) = report() else { return };
    let flag = std::env::var(FLAG).expect("must be given");
    let value = std::env::var(VALUE).expect("must be given");
    let error = Lab::builder().flag(flag, value).start().await;
    let error = error.expect_err("must fail");
    let hint = error.hint().unwrap_or_else(|| "none".to_owned());
    report.write(&format!("{error}\n\nhint: {hint}\n"));
}

/// Has an owner start a lab with this flag; what its error says.
async fn refusal(home: &Home, flag: &str, value: &str) -> String {
    let mut owner = owner(home, "failures::flags::owner_of_a_lab_with_a_flag").await;
    let output: Output = ended(owner.env(FLAG, flag).env(VALUE, value)).await;
    assert!(output.status.success(), "{output}");
    home.only_evidence_left(&output.stderr).await;
    let text = reported(home);
    let lines = text
        .split('`')
        .find(|word| word.ends_with("/command-lines"));
    let lines = std::fs::read_to_string(lines.expect("must be named")).expect("must be there");
    assert!(lines.contains(&format!(" --{flag}={value} ")), "{lines}");
    text
}

#[tokio::test]
async fn an_unknown_flag() {
    let home = Home::new().await;
    assert_text!(refusal(&home, "no-such-flag", "1").await, @"
    kube-apiserver ended early: exit status: 1
        Error: unknown flag: --no-such-flag
      log: [run folder]/logs/kube-apiserver.log
      command: in `[run folder]/command-lines`

    hint: this version of the program does not have that flag
    ");
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let home = Home::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("must listen");
    let port = taken.local_addr().expect("must be bound").port();
    assert_text!(refusal(&home, "secure-port", &port.to_string()).await, @r#"
    kube-apiserver ended early: exit status: 1
        [E run.go] "command failed" err="failed to create listener: failed to listen on 127.0.0.1:[port]: listen tcp 127.0.0.1:[port]: bind: address already in use"
      log: [run folder]/logs/kube-apiserver.log
      command: in `[run folder]/command-lines`

    hint: another process listens on that port: leave `secure-port` unset
    "#);
}

#[tokio::test]
async fn a_webhook_config_that_is_not_there() {
    let home = Home::new().await;
    let file = home.file("nowhere.yml");
    assert_text!(refusal(&home, CONFIG_FILE_FLAG, file.as_str()).await, @r#"
    kube-apiserver ended early: exit status: 1
        [E run.go] "command failed" err="stat [test folder]/nowhere.yml: no such file or directory"
      log: [run folder]/logs/kube-apiserver.log
      command: in `[run folder]/command-lines`

    hint: none
    "#);
}

#[tokio::test]
async fn a_webhook_config_that_is_broken() {
    let home = Home::new().await;
    let file = home.file("broken.yml");
    std::fs::write(&file, "clusters: 7\n").expect("must be written");
    assert_text!(refusal(&home, CONFIG_FILE_FLAG, file.as_str()).await, @r#"
    kube-apiserver ended early: exit status: 1
        [E run.go] "command failed" err="error loading config file \"[test folder]/broken.yml\": json: cannot unmarshal number into Go struct field Config.clusters of type []v1.NamedCluster"
      log: [run folder]/logs/kube-apiserver.log
      command: in `[run folder]/command-lines`

    hint: none
    "#);
}
