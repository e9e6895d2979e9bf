//! `tokenlab assets`: what there is of Kubernetes' programs, where, and how to get them.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use camino::Utf8Path;
use serde::Serialize;
use tokenlab_harness::assets::{Assets, AssetsError, Place, Sources, Wanted};
use tokenlab_harness::progress::Progress;

/// Find, download or build etcd, kube-apiserver and kubectl
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tokenlab assets list                      what each place has
  tokenlab assets fetch --kubernetes 1.36   get the newest 1.36 that can be had
  export KUBEBUILDER_ASSETS=$(tokenlab assets path)

Places, in this order: TEST_ASSET_ETCD, TEST_ASSET_KUBE_APISERVER and
TEST_ASSET_KUBECTL; KUBEBUILDER_ASSETS; the store that setup-envtest fills
too; a download by the envtest index (LAB_ENVTEST_INDEX names a mirror); a build
from Go modules (LAB_GO names the go).";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what each place has, and which one would be taken
    List {
        #[command(flatten)]
        choice: Choice,
        /// Ask the index and the module proxy too
        #[arg(long)]
        remote: bool,
    },
    /// Print the folder of the programs, or their three paths when they lie in several; 1 when absent
    Path {
        #[command(flatten)]
        choice: Choice,
    },
    /// Make sure that the programs are there: find, else download, else build them
    Fetch {
        #[command(flatten)]
        choice: Choice,
    },
}

#[derive(Debug, clap::Args)]
struct Choice {
    /// The version of Kubernetes: a series such as 1.36, or a version such as v1.36.3
    /// [default: what the environment names, else the newest 1.37]
    #[arg(long, value_name = "VERSION", env = "LAB_KUBERNETES", value_parser = super::version)]
    kubernetes: Option<Wanted>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { command } = self;
        let sources = Sources::from_env().map_err(AssetsError::from)?;
        match command {
            Command::List { choice, remote } => list(&sources, &choice, remote).await,
            Command::Path { choice } => path(&sources, &choice).await,
            Command::Fetch { choice } => fetch(&sources, &choice).await,
        }
    }
}

impl Choice {
    fn wanted(&self) -> Wanted {
        self.kubernetes.clone().unwrap_or_default()
    }
}

async fn list(sources: &Sources, choice: &Choice, remote: bool) -> anyhow::Result<ExitCode> {
    let places = sources.survey(&choice.wanted(), remote).await;
    if choice.json {
        json(&places)?;
    } else {
        print(&table(&places))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn path(sources: &Sources, choice: &Choice) -> anyhow::Result<ExitCode> {
    let wanted = choice.wanted();
    let Some(assets) = sources.find(&wanted).await? else {
        let mut stderr = anstream::stderr().lock();
        writeln!(
            stderr,
            "error: no place on this machine has the programs of Kubernetes {wanted}"
        )?;
        writeln!(
            stderr,
            "\nhint: `tokenlab assets fetch` gets them, `tokenlab assets list` shows what there is"
        )?;
        return Ok(ExitCode::FAILURE);
    };
    if choice.json {
        json(&assets)?;
    } else {
        print(&paths(&assets))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn fetch(sources: &Sources, choice: &Choice) -> anyhow::Result<ExitCode> {
    let (wanted, progress) = (choice.wanted(), Progress::stderr());
    let assets = sources.ensure(&wanted, &progress).await?;
    if choice.json {
        json(&assets)?;
    } else {
        let place = assets
            .folder()
            .map_or_else(|| paths(&assets), Utf8Path::to_string);
        print(&format!(
            "Kubernetes {} ({})\n{place}",
            assets.version, assets.source
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn paths(assets: &Assets) -> String {
    match assets.folder() {
        Some(folder) => folder.to_string(),
        None => format!(
            "{}\n{}\n{}",
            assets.etcd, assets.kube_apiserver, assets.kubectl
        ),
    }
}

fn table(places: &[Place]) -> String {
    let row = |source: String, state: String, versions: String, rest: &str| {
        format!("{source:<20} {state:<10} {versions:<16} {rest}")
            .trim_end()
            .to_owned()
    };
    let mut lines = vec![row(
        "SOURCE".into(),
        "STATE".into(),
        "VERSIONS".into(),
        "WHERE, WHY",
    )];
    for place in places {
        let rest = match (&place.reason, place.at.as_str()) {
            (Some(reason), "") => reason.clone(),
            (Some(reason), at) => format!("{at}: {reason}"),
            (None, at) => at.to_owned(),
        };
        lines.push(row(
            place.source.to_string(),
            place.state.to_string(),
            place.versions_text(),
            &rest,
        ));
    }
    lines.join("\n")
}

fn json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to the standard output")
}
