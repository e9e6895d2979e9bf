//! `tokenlab watch`: what is decided about tokens, as it happens.

mod line;
mod log;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tokenlab_harness::Backend;
use tokenlab_harness::journal::ReviewEvent;
use tokenlab_harness::named::{Client, Request, Response};

use super::UNWRITABLE;
use super::selection::Selection;
use super::unread::unread;

const EXAMPLES: &str = "\
Examples:
  tokenlab watch
  tokenlab watch --past                     begin with the last thousand
  tokenlab watch --json | jq .decision      a JSON object each line

TIME      TOKEN         AUDIENCES               DECISION        LATENCY  SOURCE
10:44:46  3fa9c1d2e4b5  kubernetes.default.svc  ✓ mock          0.05 ms  asked
10:44:47  3fa9c1d2e4b5                          ✓ mock                   cached

The time is UTC. TOKEN is a hash: the same token has the same in this lab, and
in no other. `asked` is a review of the apiserver's, `direct` one of somebody
else, such as `tokenlab review`. `cached` is a request that the apiserver
answered by what it remembered; which token it had is told where only one can
be. `no-call` is a request that was refused, and no review of it came: the
apiserver could not reach the webhook, or the request had no token.

It ends by Ctrl-C (exit status 130), or with the lab (1).";

/// Show each token that is decided about, as it happens
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    lab: Selection,

    /// Begin with what there was: the last thousand
    #[arg(long)]
    past: bool,

    /// Print a JSON object each line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { lab, past, json } = self;
        let client = lab.connect()?;
        let out = Out { json };
        let status = client.status().await?;
        let followed = async {
            match status.backend {
                Backend::Bare => follow(&client, past, &out).await,
                _ => log::follow(&status, past, &out).await,
            }
        };
        tokio::select! {
            followed = followed => followed?,
            error = unread() => return Err(error).context(UNWRITABLE),
        }
        anyhow::bail!("the lab `{}` has ended", client.name())
    }
}

async fn follow(client: &Client, past: bool, out: &Out) -> anyhow::Result<()> {
    let mut answers = client.open(&Request::Watch { past }).await?;
    while let Some(response) = answers.next().await? {
        match response {
            Response::Watching => out.begin()?,
            Response::Review(event) => out.event(&event)?,
            Response::Missed(missed) => say(&format!("{missed} are not shown: they came too fast")),
            _ => return Err(client.other().into()),
        }
    }
    Ok(())
}

/// Says something that is no event. When nobody reads it, the events still come.
fn say(note: &str) {
    let dim = anstyle::Style::new().dimmed();
    let _ = writeln!(anstream::stderr().lock(), "{dim}note:{dim:#} {note}");
}

/// Where the events go.
struct Out {
    json: bool,
}

impl Out {
    /// The head.
    fn begin(&self) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        let bold = anstyle::Style::new().bold();
        write(&format!("{bold}{}{bold:#}", line::head()))
    }

    fn event(&self, event: &ReviewEvent) -> anyhow::Result<()> {
        if self.json {
            write(&serde_json::to_string(event)?)
        } else {
            write(&line::of(event))
        }
    }
}

/// At once: who reads a pipe waits for it.
fn write(line: &str) -> anyhow::Result<()> {
    let mut stdout = anstream::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.context(UNWRITABLE)
}
