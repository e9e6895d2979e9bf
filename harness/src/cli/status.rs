//! `tokenlab status`: how a lab is.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use tokenlab_harness::named::{Age, Status};

use super::selection::Named;

const EXAMPLES: &str = "\
Examples:
  tokenlab status
  tokenlab status mine
  tokenlab status --json | jq -r .webhook

It succeeds (exit status 0) only if every part of the lab runs.";

/// Show how a lab is, and where its files are
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    lab: Named,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { lab, json } = self;
        let status = lab.connect()?.status().await?;
        if json {
            super::print_json(&status)?;
        } else {
            let written = writeln!(anstream::stdout().lock(), "{}", text(&status));
            written.context(super::UNWRITABLE)?;
        }
        let healthy = status.health.iter().all(|part| part.healthy);
        Ok(if healthy {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn text(status: &Status) -> String {
    let bold = Style::new().bold();
    let mut rows = vec![
        (
            "runs",
            format!("Kubernetes {} on {}", status.kubernetes, status.backend),
        ),
        ("for", Age(Duration::from_secs(status.age_s)).to_string()),
        ("webhook", status.webhook.clone()),
    ];
    let operator = status.operator.iter();
    rows.extend(operator.map(|operator| ("config file", operator.file.to_string())));
    rows.extend([
        ("kubeconfig", status.kubeconfig.to_string()),
        ("kubectl", status.kubectl.to_string()),
        ("files", status.folder.to_string()),
        ("supervisor", format!("pid {}", status.pid)),
    ]);
    rows.extend(status.flags.iter().map(|flag| ("flag", flag.clone())));
    let names = rows.iter().map(|(name, _)| name.len());
    let parts = status.health.iter().map(|part| part.name.len());
    let width = names.chain(parts).max().unwrap_or_default();
    let head = std::iter::once(format!("{bold}{}{bold:#}", status.name));
    let rows = rows.iter();
    let rows = rows.map(|(name, value)| format!("  {name:width$}  {value}"));
    let parts = status.health.iter().map(|part| {
        let style = if part.healthy {
            AnsiColor::Green.on_default()
        } else {
            AnsiColor::Red.on_default().bold()
        };
        let pid = part.pid.map(|pid| format!(", pid {pid}"));
        let (name, state, pid) = (&part.name, &part.state, pid.unwrap_or_default());
        format!("  {name:width$}  {style}{state}{style:#}{pid}")
    });
    head.chain(rows).chain(parts).collect::<Vec<_>>().join("\n")
}
