//! `tokenlab list`: the labs that there are.

use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use serde::Serialize;
use tokenlab_harness::Backend;
use tokenlab_harness::named::{Found, LabName, Registry, Standing};

const EXAMPLES: &str = "\
Examples:
  tokenlab list
  tokenlab list --json | jq -r '.[] | select(.state == \"running\").name'";

/// List the labs of this user
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a LabName,
    state: Standing,
    backend: Option<Backend>,
    kubernetes: Option<String>,
    age_s: Option<u64>,
    folder: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(found: &'a Found) -> Self {
        let record = found.record.as_ref();
        Self {
            name: &found.name,
            state: found.standing,
            backend: record.map(|record| record.backend),
            kubernetes: record.and_then(|record| Some(record.kubernetes.as_ref()?.to_string())),
            age_s: record.map(|record| record.age().0.as_secs()),
            folder: record.and_then(|record| Some(record.folder.as_ref()?.as_str())),
        }
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { json } = self;
        let all = Registry::from_env()?.all()?;
        if json {
            super::print_json(&all.iter().map(Row::of).collect::<Vec<_>>())?;
        } else if all.is_empty() {
            // Not on the standard output: there is no row.
            let _ = writeln!(anstream::stderr(), "no labs; `tokenlab up` starts one");
        } else {
            let written = writeln!(anstream::stdout().lock(), "{}", table(&all));
            written.context(super::UNWRITABLE)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(all: &[Found]) -> String {
    let bold = Style::new().bold();
    let rows = all.iter().map(|found| {
        let record = found.record.as_ref();
        let unknown = || "-".to_owned();
        [
            found.name.to_string(),
            found.standing.to_string(),
            record.map_or_else(unknown, |record| record.backend.to_string()),
            record
                .and_then(|record| Some(record.kubernetes.as_ref()?.to_string()))
                .unwrap_or_else(unknown),
            record.map_or_else(unknown, |record| record.age().to_string()),
        ]
    });
    let head = ["NAME", "STATE", "BACKEND", "KUBERNETES", "AGE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let styles = all.iter().map(|found| color(found.standing));
    let styles = std::iter::once(bold).chain(styles);
    let lines = super::table::aligned(&rows).into_iter().zip(styles);
    let lines: Vec<_> = lines
        .map(|(line, style)| format!("{style}{line}{style:#}"))
        .collect();
    lines.join("\n")
}

fn color(standing: Standing) -> Style {
    match standing {
        Standing::Running => Style::new(),
        Standing::Starting | Standing::Ending => AnsiColor::Yellow.on_default(),
        Standing::BeforeBoot | Standing::Lost | Standing::Elsewhere => Style::new().dimmed(),
    }
}
