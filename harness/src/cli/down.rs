//! `tokenlab down`: the end of a lab, of all labs, and of what lost its owner.

mod all;

use std::io::Write as _;
use std::process::ExitCode;

use tokenlab_harness::named::{Found, Registry, RegistryError};
use tokenlab_harness::progress::Progress;

use super::selection::Named;

const EXAMPLES: &str = "\
Examples:
  tokenlab down                   end the only lab that runs
  tokenlab down mine
  tokenlab down --all             all labs, and what lost its owner
  tokenlab down --all --dry-run   see what that would be
  tokenlab down --all --kept      and the run folders that were kept

What lost its owner, by whatever version of tokenlab, is: run folders in the
folder for temporary files (TMPDIR), etcd and kube-apiserver that work in one,
and containers, networks and images of labs. Nothing is touched that has a
living owner, is another user's, or of which nobody can tell.";

/// End a lab
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch")]
pub(super) struct Args {
    #[command(flatten)]
    lab: Named,

    /// End all labs of this user, and take away what lost its owner
    #[arg(long, conflicts_with_all = ["name", "lab"])]
    all: bool,

    /// With --all: take away the run folders, too, that were kept on purpose, or that a failure
    /// left, once their owner is gone
    #[arg(long, requires = "all")]
    kept: bool,

    /// With --all: say what would be done, and do nothing
    #[arg(long, requires = "all")]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            lab,
            all,
            kept,
            dry_run,
            json,
        } = self;
        let registry = Registry::from_env()?;
        if all {
            return all::run(
                &registry,
                all::Choice {
                    kept,
                    dry_run,
                    json,
                },
            )
            .await;
        }
        let found = lab.find()?;
        end(&registry, &found).await?;
        if json {
            super::print_json(&serde_json::json!({ "ended": [found.name] }))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Ends a lab, and says so; that its folder is kept, too.
async fn end(registry: &Registry, found: &Found) -> Result<(), RegistryError> {
    let title = format!("ending the lab `{}`", found.name);
    let progress = Progress::stderr().brief();
    progress.step(&title, registry.end(found)).await?;
    note(&format!("the lab `{}` has ended", found.name));
    if std::env::var(super::shell::NESTED).is_ok_and(|name| name == found.name.as_str()) {
        note("this shell was made for it, and is of no more use: `exit` leaves it");
    }
    if let Some(folder) = found.folder().filter(|folder| folder.exists()) {
        note(&format!("its run folder is kept: {folder}"));
    }
    Ok(())
}

/// For people; what comes of it tells the exit status.
fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
