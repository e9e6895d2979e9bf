//! `tokenlab node-image`: the image that kind's nodes are made of, where no registry has it.

use std::io::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use tokenlab_harness::NodeImage;
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  tokenlab node-image build                      for the newest 1.37
  tokenlab node-image build --kubernetes 1.36
  kind create cluster --image $(tokenlab node-image build --quiet)
  tokenlab node-image list
  tokenlab node-image remove v1.37.2
  tokenlab node-image remove --all

A build needs root, Docker, debootstrap and Go. It takes Debian's packages
from the mirror of this machine's apt (LAB_DEBIAN_MIRROR names another), and
all else from Go modules. Interrupted, the next one goes on with what there is.
Where kindest/node is to be had, no such image is needed.";

/// Make, list and remove images for kind's nodes, without a registry
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the image of a version, unless there is one made of the same
    Build {
        /// The version of Kubernetes: a series such as 1.36, or a version such as v1.36.3
        #[arg(long, value_name = "VERSION", env = "LAB_KUBERNETES", value_parser = super::version)]
        kubernetes: Option<Wanted>,
        /// Print nothing but the image's name
        #[arg(short, long)]
        quiet: bool,
        /// Print JSON
        #[arg(long, conflicts_with = "quiet")]
        json: bool,
    },
    /// Show the images that were made
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove images
    Remove {
        /// The versions, such as v1.37.2
        #[arg(value_name = "VERSION", required_unless_present = "all", value_parser = exact)]
        versions: Vec<semver::Version>,
        /// Remove all, and what was kept to make them
        #[arg(long, conflicts_with = "versions")]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn exact(text: &str) -> Result<semver::Version, semver::Error> {
    semver::Version::parse(text.strip_prefix('v').unwrap_or(text))
}

impl Args {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { command } = self;
        match command {
            Command::Build {
                kubernetes,
                quiet,
                json,
            } => build(&kubernetes.unwrap_or_default(), quiet, json).await?,
            Command::List { json } => list(json).await?,
            Command::Remove {
                versions,
                all,
                json,
            } => remove(&versions, all, json).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn build(wanted: &Wanted, quiet: bool, as_json: bool) -> anyhow::Result<()> {
    let progress = if quiet {
        Progress::hidden()
    } else {
        Progress::stderr()
    };
    let built = NodeImage::build(wanted, &progress).await?;
    if as_json {
        json(&built)
    } else if quiet {
        print(&built.name)
    } else {
        let how = if built.cached {
            "is there already"
        } else {
            "is made"
        };
        print(&format!("{} {how}", built.name))
    }
}

async fn remove(versions: &[semver::Version], all: bool, as_json: bool) -> anyhow::Result<()> {
    let removed = if all {
        NodeImage::remove_all().await?
    } else {
        NodeImage::remove(versions).await?
    };
    if as_json {
        return json(&removed);
    }
    for name in &removed {
        print(&format!("removed {name}"))?;
    }
    if removed.is_empty() {
        print("there was no node image to remove")?;
    }
    Ok(())
}

async fn list(as_json: bool) -> anyhow::Result<()> {
    let images = NodeImage::list().await?;
    if as_json {
        return json(&images);
    }
    let row = |name: &str, id: &str, size: &str, created: &str| {
        print(&format!("{name:<28} {id:<14} {size:<8} {created}"))
    };
    row("NAME", "ID", "SIZE", "CREATED")?;
    for image in images {
        row(&image.name, &image.id, &image.size, &image.created)?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
