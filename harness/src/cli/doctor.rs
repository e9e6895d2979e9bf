//! `tokenlab doctor`: why a token is not known, and what to do.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use camino::Utf8PathBuf;
use serde::Serialize;
use tokenlab_harness::named::{LabName, Request, Response};
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Diagnosis, ExistingCluster, Outside, Shown};
use tokenlab_webhook::Token;

use super::choice::conflict;
use super::selection::Named;
use super::token;

const EXAMPLES: &str = "\
Examples:
  tokenlab doctor
  tokenlab doctor mine --as-token ZGVtbW8tcGFzc3dvcmQ=
  pass show token | tokenlab doctor mine --as-token-file -
  tokenlab doctor --json | jq -r .cause
  tokenlab doctor mine --kubeconfig ann.yaml
  tokenlab doctor --kubeconfig theirs.yaml --webhook-config webhook-config.yml

One request is made, with a token that nobody has shown before unless another
is given, and all that there is to see of it is looked at: kube-apiserver's
flags, log and metrics, the webhook's file, record and certificate, and the
webhook itself, asked as kube-apiserver asks it.

With a lab's NAME, `--kubeconfig` says who makes the request: what a user sends
who complains. Without one it says which cluster is meant, which then is seen
from outside alone.

It succeeds (exit status 0) only if the webhook did its part.";

/// Say whose a token is, or why it is 401, and what to do
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    lab: Named,

    /// The token to show
    #[arg(long, value_name = "TOKEN", value_parser = token::parse_as)]
    as_token: Option<Token>,

    /// The same, with the token in a file; `-`: on the standard input, all of it
    #[arg(long, value_name = "FILE|-", conflicts_with = "as_token")]
    as_token_file: Option<Utf8PathBuf>,

    /// Who makes the request, in a lab; or else which cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<Utf8PathBuf>,

    /// The context in it [default: its current one]
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,

    /// The file by which that cluster's kube-apiserver reaches the webhook, or a copy of it
    #[arg(long, value_name = "FILE", requires = "kubeconfig")]
    webhook_config: Option<Utf8PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    /// None: a cluster that is seen from outside.
    lab: Option<&'a LabName>,
    #[serde(flatten)]
    diagnosis: Diagnosis,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            lab,
            as_token,
            as_token_file,
            kubeconfig,
            context,
            webhook_config,
            json,
        } = self;
        let token = match as_token_file {
            Some(path) => Some(token::read(&path)?),
            None => as_token,
        };
        if lab.is_given() && webhook_config.is_some() {
            conflict("`--webhook-config` is for a cluster that is no lab: a lab knows its own");
        }
        if lab.is_given() && kubeconfig.is_some() && token.is_some() {
            conflict("either the token or the kubeconfig says who makes the request");
        }
        if let Some(path) = &webhook_config
            && let Err(error) = File::open(path)
        {
            conflict(&format!(
                "`--webhook-config {path}` cannot be read: {error}"
            ));
        }
        let cluster = kubeconfig.map(|kubeconfig| ExistingCluster {
            kubeconfig,
            context,
        });
        let title = "making one request, and looking at what comes of it";
        let progress = Progress::stderr();
        if let (Some(cluster), false) = (&cluster, lab.is_given()) {
            let outside = Outside::of(cluster, webhook_config.as_deref()).await?;
            let shown = token.map_or_else(|| outside.shown(), |token| Shown::from(&token));
            let diagnosed = async { anyhow::Ok(outside.diagnose(&shown).await) };
            let report = Report {
                lab: None,
                diagnosis: progress.step(title, diagnosed).await?,
            };
            return report.print(json);
        }
        let client = lab.connect()?;
        let shown = match (&token, &cluster) {
            (Some(token), _) => Shown::from(token),
            (None, Some(cluster)) => Shown::of(cluster, &client.status().await?.kubectl).await?,
            (None, None) => Shown::fresh(),
        };
        let request = Request::Diagnose { shown };
        let answer = progress.step(title, client.ask(&request)).await?;
        let Response::Diagnosed(diagnosis) = answer else {
            return Err(client.other().into());
        };
        let report = Report {
            lab: Some(client.name()),
            diagnosis: *diagnosis,
        };
        report.print(json)
    }
}

impl Report<'_> {
    fn print(self, json: bool) -> anyhow::Result<ExitCode> {
        let healthy = self.diagnosis.healthy;
        if json {
            super::print_json(&self)?;
        } else {
            let written = write!(anstream::stdout().lock(), "{}", text(&self.diagnosis));
            written.context(super::UNWRITABLE)?;
        }
        Ok(if healthy {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// What the remedy begins with; what others say begins no line.
const REMEDY: &str = "what to do:";

/// Its own text, with the first line and the remedy marked.
fn text(diagnosis: &Diagnosis) -> String {
    let color = if diagnosis.healthy {
        AnsiColor::Green
    } else {
        AnsiColor::Red
    };
    let color = color.on_default().bold();
    let bold = Style::new().bold();
    let text = diagnosis.to_string();
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let begin = format!("{bold}{REMEDY}{bold:#}");
    let mut marked = format!("{color}{head}{color:#}\n");
    for line in rest.split_inclusive('\n') {
        match line.strip_prefix(REMEDY) {
            Some(remedy) => marked.extend([&*begin, remedy]),
            None => marked += line,
        }
    }
    marked
}
