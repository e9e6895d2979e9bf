//! The reviews in the log of a webhook that is a program of its own.

use std::process::Stdio;

use anyhow::Context as _;
use tokenlab_harness::journal::ReviewEvent;
use tokenlab_harness::named::{Log, LogName, Status};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::{Out, say};

/// Tells of each review that the log has, until it ends.
pub(super) async fn follow(status: &Status, past: bool, out: &Out) -> anyhow::Result<()> {
    let logs = status.logs.get(&LogName::Webhook);
    let Some(Log::Command { print, follow }) = logs.and_then(|logs| logs.first()) else {
        anyhow::bail!(
            "the webhook of the lab `{}` has no log to follow",
            status.name
        );
    };
    say(&format!(
        "on {} this is the webhook's log: it has no audiences, nor who asked, and its hashes of \
         tokens are its own; what the apiserver remembers is not seen",
        status.backend
    ));
    out.begin()?;
    if past {
        run(print, out).await?;
    }
    run(follow, out).await
}

/// Runs a command that prints a log, on whichever of its two outputs, to its end.
async fn run(command: &[String], out: &Out) -> anyhow::Result<()> {
    let line = command.join(" ");
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("`{line}` could not be run"))?;
    let streams = child.stdout.take().zip(child.stderr.take());
    let (stdout, stderr) = streams.context("both outputs must be pipes")?;
    let (mut stdout, mut stderr) = (
        BufReader::new(stdout).lines(),
        BufReader::new(stderr).lines(),
    );
    let (mut more, mut more_errors) = (true, true);
    while more || more_errors {
        let (line, open) = tokio::select! {
            line = stdout.next_line(), if more => (line?, &mut more),
            line = stderr.next_line(), if more_errors => (line?, &mut more_errors),
        };
        match line {
            None => *open = false,
            Some(line) => {
                if let Some(event) = ReviewEvent::from_log(&line) {
                    out.event(&event)?;
                }
            }
        }
    }
    let status = child.wait().await?;
    anyhow::ensure!(status.success(), "`{line}` ended: {status}");
    Ok(())
}
