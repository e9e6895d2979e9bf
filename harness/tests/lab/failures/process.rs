//! A process that does not start, does not stay, or does not go.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use tokenlab_harness::{Plan, Poll, Probe, Process, StartError};

use crate::filters::assert_text;
use crate::home::{Home, SOON};
use crate::owner::appears;
use crate::programs::stand_in;

const SHORT: Poll = Poll {
    every: Duration::from_millis(10),
    within: Duration::from_millis(200),
};
const GRACE: Duration = Duration::from_millis(200);

fn plan(home: &Home, script: &str) -> Plan {
    Plan {
        name: "server",
        program: stand_in(&home.file("server"), script),
        args: vec!["--listen=a b".to_owned()],
        env: BTreeMap::from([("GOGC".to_owned(), "400".to_owned())]),
        inherit: false,
        folder: home.tmp().to_owned(),
        log: home.file("server.log"),
    }
}

/// Waits for what never comes.
async fn waits(process: Process, poll: Poll) -> StartError {
    process
        .ready::<(), _>(poll, async || {
            Probe::<_, Infallible>::NotYet("no port".into())
        })
        .await
        .expect_err("must fail")
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let home = Home::new().await;
    let plan = Plan {
        program: home.file("nowhere"),
        ..plan(&home, "")
    };
    let error = plan.spawn().expect_err("must fail");
    assert_text!(error, @"server cannot be run: `[test folder]/nowhere` is not an executable file");
    assert_text!(error.hint().unwrap_or_default(), @"`tokenlab assets list` shows where programs are looked for");
    home.nothing_left().await;
}

#[tokio::test]
async fn a_file_that_is_not_executable_is_no_program() {
    let home = Home::new().await;
    let plan = plan(&home, "");
    std::fs::write(home.file("text"), "text").expect("must be written");
    let plan = Plan {
        program: home.file("text"),
        ..plan
    };
    assert_text!(plan.spawn().expect_err("must fail"), @"server cannot be run: `[test folder]/text` is not an executable file");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error_of_the_start() {
    let home = Home::new().await;
    let plan = Plan {
        folder: home.file("nowhere"),
        ..plan(&home, "")
    };
    let error = plan.spawn().expect_err("must fail");
    assert_text!(error, @"server could not be started: cd [test folder]/nowhere && GOGC=400 [test folder]/server '--listen=a b'");
    let source = std::error::Error::source(&error).expect("must have a cause");
    assert_text!(source, @"No such file or directory (os error 2)");
    home.nothing_left().await;
}

#[tokio::test]
async fn an_early_end_tells_status_command_line_and_the_log_s_end() {
    let home = Home::new().await;
    let script = "i=0; while [ $i -lt 20 ]; do i=$((i + 1)); echo \"line $i\"; echo; done; exit 3";
    let process = plan(&home, script).spawn().expect("must start");
    let error = waits(process, SOON).await;
    assert_text!(error, @"
    server ended early: exit status: 3
        line 9
        line 10
        line 11
        line 12
        line 13
        line 14
        line 15
        line 16
        line 17
        line 18
        line 19
        line 20
      log: [test folder]/server.log
      command: cd [test folder]/tmp && GOGC=400 [test folder]/server '--listen=a b'
    ");
    assert_eq!(error.hint(), None);
    home.nothing_left().await;
}

#[tokio::test]
async fn an_early_end_by_a_signal_names_it() {
    let home = Home::new().await;
    let process = plan(&home, "kill -SEGV $$").spawn().expect("must start");
    let error = waits(process, SOON).await;
    assert_text!(error, @"
    server ended early: signal: 11 (SIGSEGV)
        (the log is empty)
      log: [test folder]/server.log
      command: cd [test folder]/tmp && GOGC=400 [test folder]/server '--listen=a b'
    ");
}

#[tokio::test]
async fn one_that_hangs_is_ended_and_its_log_told() {
    let home = Home::new().await;
    let script = "echo 'looks for its configuration'; : >../up; sleep 1000 & wait";
    let process = plan(&home, script).spawn().expect("must start");
    appears(&home.file("up")).await;
    let error = waits(process, SHORT).await;
    assert_text!(error, @"
    server was not ready after [time]; last seen: no port
        looks for its configuration
      log: [test folder]/server.log
      command: cd [test folder]/tmp && GOGC=400 [test folder]/server '--listen=a b'
    ");
    home.nothing_left().await;
}

#[tokio::test]
async fn a_look_that_hangs_does_not_hold_the_wait() {
    let home = Home::new().await;
    let process = plan(&home, "exec sleep 1000").spawn().expect("must start");
    let waited = process.ready::<(), _>(SHORT, async || std::future::pending().await);
    let waited = tokio::time::timeout(SOON.within, waited).await;
    let error = waited.expect("must end").expect_err("must fail");
    assert!(matches!(error, StartError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_with_its_children() {
    let home = Home::new().await;
    let script = "trap '' TERM; sleep 1000 & : >up; while :; do sleep 1; done";
    let process = plan(&home, script).spawn().expect("must start");
    appears(&home.tmp().join("up")).await;
    assert!(home.processes().len() >= 2, "{:?}", home.processes());
    let status = process.stop(GRACE).await;
    assert_eq!(status.signal(), Some(9));
    home.no_process().await;
}

#[tokio::test]
async fn one_that_obeys_sigterm_leaves_no_child_that_does_not() {
    let home = Home::new().await;
    let script = "(trap '' TERM; : >up; while :; do sleep 1; done) & trap 'exit 5' TERM; wait";
    let process = plan(&home, script).spawn().expect("must start");
    appears(&home.tmp().join("up")).await;
    let status = process.stop(SOON.within).await;
    assert_eq!(status.code(), Some(5));
    home.no_process().await;
}

#[tokio::test]
async fn one_that_is_dropped_is_killed_with_its_children() {
    let home = Home::new().await;
    let script = "trap '' TERM; sleep 1000 & : >up; wait";
    let process = plan(&home, script).spawn().expect("must start");
    appears(&home.tmp().join("up")).await;
    drop(process);
    home.no_process().await;
}
