//! Labs in a home of their own.

use std::convert::Infallible;

use camino::Utf8PathBuf;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokenlab_harness::named::Status;
use tokenlab_harness::{Output, Probe, until};

use crate::filters::FILTERS;
use crate::home::{Found, Home, SOON, turn};
use crate::owner::ended;
use crate::programs::{apiserver, stand_in};

/// A home beside which no other is.
pub(crate) async fn alone() -> Home {
    Home::at_turn("tmp", turn(2).await)
}

/// The words of a command line in which no argument has a blank.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Runs the program to its end.
pub(crate) async fn tokenlab(home: &Home, args: &[&str]) -> Output {
    let mut command = home.tokenlab(args).await;
    // These are no tests of clusters: what is in the engine is not theirs.
    command.env("DOCKER_HOST", "unix:///nowhere");
    ended(&mut command).await
}

/// The same, which must succeed; its standard output.
pub(crate) async fn done(home: &Home, args: &[&str]) -> String {
    let output = tokenlab(home, args).await;
    assert!(output.status.success(), "{args:?}: {output}");
    output.stdout
}

/// A lab of this name that runs.
pub(crate) async fn up(home: &Home, name: &str) -> Status {
    let status = done(home, &["up", name, "--json"]).await;
    serde_json::from_str(&status).expect("must be a status")
}

/// The command `up` with a kube-apiserver that never gets ready. An empty name is none.
pub(crate) async fn never_up(home: &Home, name: &str) -> tokio::process::Command {
    let script = apiserver("sleep 1000; exit 1");
    let program = stand_in(&home.file("kube-apiserver"), &script);
    let mut command = home.tokenlab(&["up"]).await;
    command.args(Some(name).filter(|name| !name.is_empty()));
    command.env("TEST_ASSET_KUBE_APISERVER", program);
    command
}

/// The folders of labs that are written down.
pub(crate) fn entries(home: &Home) -> Vec<String> {
    let labs = home.state().join("tokenlab/labs");
    match labs.read_dir_utf8() {
        Ok(entries) => entries
            .map(|entry| entry.expect("must be read").file_name().to_owned())
            .collect(),
        Err(_none) => Vec::new(),
    }
}

/// The file with a lab's record.
pub(crate) fn record(home: &Home, name: &str) -> Utf8PathBuf {
    home.state()
        .join("tokenlab/labs")
        .join(name)
        .join("lab.json")
}

/// Waits until nothing is left of any lab: no process, no folder, no name.
pub(crate) async fn nothing_left(home: &Home) {
    home.nothing_left().await;
    let look = async || match &*entries(home) {
        [] => Probe::<_, Infallible>::Ready(()),
        left => Probe::NotYet(format!("{left:?}").into()),
    };
    until("no lab is written down", SOON, look)
        .await
        .expect("must come true");
}

/// Waits until a lab is listed as standing so.
pub(crate) async fn stands(home: &Home, name: &str, state: &str) {
    let look = async || {
        let listed = done(home, &["list", "--json"]).await;
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("must be JSON");
        let labs = listed.as_array().expect("must be an array");
        let stands = labs
            .iter()
            .any(|lab| lab["name"] == name && lab["state"] == state);
        if stands {
            Probe::<_, Infallible>::Ready(())
        } else {
            Probe::NotYet(listed.to_string().into())
        }
    };
    until(&format!("{name} is {state}"), SOON, look)
        .await
        .expect("must come true");
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = pid.try_into().expect("must be a process number");
    kill(Pid::from_raw(pid), signal).expect("must be sent");
}

/// The guardian of the only lab here, once those of commands that have ended are gone.
async fn guardian(home: &Home) -> Found {
    let look = async || {
        let mut guardians = home.processes();
        guardians.retain(|process| {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid));
            line.is_ok_and(|line| line.ends_with(b"\0tokenlab-guardian\0"))
        });
        match &*guardians {
            [guardian] => Probe::<_, Infallible>::Ready(guardian.clone()),
            _ => Probe::NotYet(format!("{guardians:?}").into()),
        }
    };
    until("one guardian is there", SOON, look)
        .await
        .expect("must come true")
}

/// Kills the supervisor together with its guardian: what nothing can tidy up after. The guardian
/// first, or it would begin to.
pub(crate) async fn kill_both(home: &Home, lab: &Status) {
    signal(guardian(home).await.pid, Signal::SIGKILL);
    signal(lab.pid, Signal::SIGKILL);
}

/// A text without what varies from run to run.
pub(crate) fn filtered(text: &str) -> String {
    let more = [
        (r"[^\s`]*/\.tmp\w{6}(/\w+)*", "[test folder]"),
        (r"pid \d+", "pid [pid]"),
        (r"admin-[0-9a-f]{12}", "admin-[random]"),
        (r"\b\d+ s\b", "[age]"),
        (r"\(\d+\.\d s\)", "([time])"),
    ];
    let filters = FILTERS.iter().chain(&more);
    filters.fold(text.to_owned(), |text, (pattern, name)| {
        let pattern = regex::Regex::new(pattern).expect("must be a pattern");
        pattern.replace_all(&text, *name).into_owned()
    })
}
