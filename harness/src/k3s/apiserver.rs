//! The apiserver inside of the k3s process: another flag is another start of the container.

use std::time::Duration;

use super::{K3sError, POLL};
use crate::docker::{Docker, DockerError};
use crate::kubeconfig::{self, Kubeconfig};
use crate::node::Node;
use crate::tool::Input;
use crate::wait::{Probe, WaitError, until};

/// The flags that its command line shall have; `None`: does not have.
pub(super) type Flags<'a> = &'a [(String, Option<String>)];

/// Why the apiserver is not back, if it is not.
pub(super) type Back = Result<(), String>;

/// What k3s says at each start, before it starts the apiserver.
const RUNNING: &str = "Running kube-apiserver ";

/// Starts k3s anew, which reads its configuration then. The inner result tells why the apiserver
/// is not back.
pub(super) async fn restart(
    node: &Node,
    admin: &Kubeconfig,
    flags: Flags<'_>,
) -> Result<Back, K3sError> {
    let name = node.container.name();
    // It ends at once, and with status 1: that is its way.
    let stopped = node.docker.run(&["stop", name]).await;
    // Also when that failed: it may have ended all the same.
    node.docker.run(&["start", name]).await?;
    stopped?;
    let client = kubeconfig::client(admin).await.ok();
    let look = async || {
        match ended(node).await {
            Ok(None) => {}
            Ok(Some(reason)) => return Probe::Fatal(End::Not(reason)),
            Err(error) => return Probe::Fatal(End::Unknown(error)),
        }
        if let Some(client) = &client
            && let Err(reason) = readyz(client).await
        {
            return Probe::NotYet(reason.into());
        }
        match runs_with(node, flags).await {
            Ok(true) => Probe::Ready(()),
            Ok(false) => Probe::NotYet("it does not run with these flags".into()),
            Err(error) => Probe::Fatal(End::Unknown(error)),
        }
    };
    match until("kube-apiserver is back", POLL, look).await {
        Ok(()) => Ok(Ok(())),
        Err(WaitError::Fatal(End::Not(reason))) => Ok(Err(reason)),
        Err(WaitError::Fatal(End::Unknown(error))) => Err(error.into()),
        Err(error @ WaitError::TimedOut { .. }) => {
            Ok(Err(format!("{error}{}", log_tail(node).await)))
        }
    }
}

/// Why a wait for it ends early.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("{0}")]
    Not(String),
    #[error(transparent)]
    Unknown(DockerError),
}

/// Whether the apiserver says that it is ready; if not, what it says.
pub(super) async fn readyz(client: &kube::Client) -> Result<(), String> {
    let request = http::Request::get("/readyz").body(Vec::new());
    let answer = client.request_text(request.unwrap_or_default()).await;
    answer
        .map(drop)
        .map_err(|error| format!("/readyz: {error}"))
}

/// Why the container does not run any more; `None` while it does.
pub(super) async fn ended(node: &Node) -> Result<Option<String>, DockerError> {
    const STATE: &str = "{{.State.Running}} {{.State.ExitCode}}";
    let state = inspect(node, STATE).await?;
    match state.split_once(' ') {
        Some(("false", code)) => Ok(Some(format!(
            "k3s ended with status {code}{}",
            log_tail(node).await
        ))),
        _ => Ok(None),
    }
}

async fn inspect(node: &Node, format: &str) -> Result<String, DockerError> {
    let args = [
        "container",
        "inspect",
        "--format",
        format,
        node.container.name(),
    ];
    // Asked again and again: the list of command lines would be full of it.
    let docker = node.docker.unlogged();
    Ok(docker.run(&args).await?.trim().to_owned())
}

/// Whether the apiserver of this start has these flags, by what k3s said of it.
pub(super) async fn runs_with(node: &Node, flags: Flags<'_>) -> Result<bool, DockerError> {
    Ok(has_flags(&log_of_this_start(node).await?, flags))
}

/// The flags of the running apiserver.
pub(super) async fn flags(node: &Node) -> Result<Vec<String>, DockerError> {
    let log = log_of_this_start(node).await?;
    let words = command_line(&log).unwrap_or_default().split(' ');
    Ok(words.map(str::to_owned).collect())
}

async fn log_of_this_start(node: &Node) -> Result<String, DockerError> {
    let since = inspect(node, "{{.State.StartedAt}}").await?;
    let args = ["logs", "--since", &since, node.container.name()];
    log(&node.docker, &args).await
}

fn command_line(log: &str) -> Option<&str> {
    let running = log.lines().rev().find_map(|line| line.split_once(RUNNING));
    // The line is one of logrus, in quotes.
    Some(running?.1.trim_end_matches('"'))
}

fn has_flags(log: &str, flags: Flags<'_>) -> bool {
    let Some(command_line) = command_line(log) else {
        return false;
    };
    flags.iter().all(|(name, value)| {
        let prefix = format!("--{name}=");
        let mut words = command_line.split(' ').rev();
        words.find_map(|word| word.strip_prefix(&prefix)) == value.as_deref()
    })
}

/// What a container wrote, to both streams. It is asked for again and again, and so not in the
/// list of command lines.
pub(super) async fn log(docker: &Docker, args: &[&str]) -> Result<String, DockerError> {
    let within = Duration::from_secs(60);
    let docker = docker.unlogged();
    let output = docker.tool().output(args, Input::Nothing);
    match tokio::time::timeout(within, output).await {
        Ok(output) => {
            let output = output?;
            Ok(output.stdout + &output.stderr)
        }
        Err(_elapsed) => Ok(String::new()),
    }
}

/// The last lines that tell why, below what is said before them; empty when there are none.
pub(super) async fn log_tail(node: &Node) -> String {
    let args = ["logs", "--tail", "200", node.container.name()];
    tail(&log(&node.docker, &args).await.unwrap_or_default())
}

/// An error of k3s is followed by what else it was about to say: it is looked for first.
fn tail(log: &str) -> String {
    const LINES: usize = 6;
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let tells = |line: &&&str| {
        let fatal = ["level=fatal", "level=error", "Error: ", "panic: "];
        fatal.iter().any(|word| line.contains(word)) || is_fatal_of_klog(line)
    };
    let mut told: Vec<_> = lines.iter().filter(tells).copied().collect();
    told.drain(..told.len().saturating_sub(LINES));
    if told.is_empty() {
        told.extend(&lines[lines.len().saturating_sub(LINES)..]);
    }
    let line = |text: String, line: &&str| text + &format!("\n  {line:.400}");
    told.iter().fold(String::new(), line)
}

/// `F1124 21:30:00.000000 …`: the month and the day. `Flag --x has been deprecated` is none.
fn is_fatal_of_klog(line: &str) -> bool {
    let date = line.strip_prefix('F').and_then(|rest| rest.get(..4));
    date.is_some_and(|date| date.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(name: &str, value: Option<&str>) -> [(String, Option<String>); 1] {
        [(name.to_owned(), value.map(str::to_owned))]
    }

    #[test]
    fn only_the_last_start_counts() {
        let log = "time=\"1\" level=info msg=\"Running kube-apiserver --v=2 --a=b\"\n\
                   time=\"2\" level=info msg=\"Running kube-apiserver --a=c --v=4\"\n\
                   time=\"3\" level=info msg=\"Running kube-scheduler --v=9\"\n";
        assert!(has_flags(log, &flag("v", Some("4"))));
        assert!(has_flags(log, &flag("a", Some("c"))));
        assert!(has_flags(log, &flag("b", None)));
        assert!(!has_flags(log, &flag("v", Some("2"))));
        assert!(!has_flags(log, &flag("v", None)));
        assert!(!has_flags("", &flag("b", None)));
    }

    #[test]
    fn the_reason_is_found_among_other_lines() {
        let others = "I1124 noise\n".repeat(20);
        let log = format!("I1124 first\ntime=\"1\" level=fatal msg=\"no kubeconfig\"\n{others}");
        assert_eq!(
            tail(&log),
            "\n  time=\"1\" level=fatal msg=\"no kubeconfig\""
        );
        let log = "Flag --x has been deprecated\nF1124 no\nI1124 noise\n";
        assert_eq!(tail(log), "\n  F1124 no");
        assert_eq!(tail("one\n\ntwo\n"), "\n  one\n  two");
        assert_eq!(tail(""), "");
    }
}
