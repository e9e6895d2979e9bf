//! `tokenlab logs`: what a lab's programs write.

mod follow;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use tokenlab_harness::named::{LabName, Log, LogName};

use super::selection::Selection;

const EXAMPLES: &str = "\
Examples:
  tokenlab logs                 kube-apiserver's
  tokenlab logs -f etcd         and what comes, until the lab ends
  tokenlab logs node -l mine    the node of a real cluster

Without -f it ends with what there is. The webhook of a bare lab writes a JSON
object for each review, without the token; `tokenlab watch` shows the same for
people.";

/// Print a log of a lab
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Whose
    #[arg(value_parser = Parser::default(), default_value = "apiserver")]
    log: LogName,

    /// Go on with what comes, until the lab ends
    #[arg(short, long)]
    follow: bool,

    #[command(flatten)]
    selection: Selection,
}

/// Of a log's name. Who says a lab's instead, as to other commands, is told how it is done here.
#[derive(Clone)]
struct Parser(EnumValueParser<LogName>);

impl Default for Parser {
    fn default() -> Self {
        Self(EnumValueParser::new())
    }
}

impl TypedValueParser for Parser {
    type Value = LogName;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<LogName, clap::Error> {
        let mut parsed = self.0.parse_ref(command, arg, value);
        if let Err(error) = &mut parsed
            && let Some(name) = value
                .to_str()
                .filter(|name| name.parse::<LabName>().is_ok())
        {
            let tip = format!("'-l {name}' says which lab");
            let tip = ContextValue::StyledStrs(vec![tip.into()]);
            error.insert(ContextKind::Suggested, tip);
        }
        parsed
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
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
