//! `tokenlab logs`: what a lab's programs write.

mod follow;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use tokenlab_harness::named::{Log, LogName};

use super::selection::Selection;

const EXAMPLES: &str = "\
Examples:
  tokenlab logs                 kube-apiserver's
  tokenlab logs -f etcd         and what comes, until Ctrl-C or the end of the lab
  tokenlab logs node -l mine    the node of a real cluster

Without -f it ends with what there is. The webhook of a bare lab writes a JSON object for each review,
without the token; `tokenlab watch` shows the same for people.";

/// Print a log of a lab
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Whose
    #[arg(value_enum, default_value = "apiserver")]
    log: LogName,

    /// Go on with what comes, until the lab ends
    #[arg(short, long)]
    follow: bool,

    #[command(flatten)]
    selection: Selection,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            log: name,
            follow,
            selection,
        } = self;
        let status = selection.connect()?.status().await?;
        let logs = status.logs.get(&name).map_or(&[][..], Vec::as_slice);
        let mut last = None;
        for log in logs {
            match log {
                Log::File(path) => follow::print(path, follow).await?,
                Log::Command { print, follow } => {
                    run(print)?;
                    last = Some(follow);
                }
                Log::None(why) => anyhow::bail!("there is no such log: {why}"),
                _ => {}
            }
        }
        match last {
            // In place of this program: nothing stays behind it.
            Some(last) if follow => Err(command(last)?.exec()).with_context(|| unrunnable(last)),
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

/// Runs a program that prints a log. It says by itself what it cannot.
fn run(words: &[String]) -> anyhow::Result<()> {
    let ended = command(words)?.status();
    let ended = ended.with_context(|| unrunnable(words))?;
    anyhow::ensure!(ended.success(), "`{}` failed: {ended}", words.join(" "));
    Ok(())
}

fn command(words: &[String]) -> anyhow::Result<Command> {
    let (program, args) = words.split_first().context("the lab named no command")?;
    let mut command = Command::new(program);
    command.args(args);
    Ok(command)
}

fn unrunnable(words: &[String]) -> String {
    format!("`{}` could not be run", words.join(" "))
}
