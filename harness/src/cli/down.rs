//! `tokenlab down`: the end of a lab.

use std::io::Write as _;
use std::process::ExitCode;

use tokenlab_harness::named::Registry;

use super::selection::NameOrNone;

const EXAMPLES: &str = "\
Examples:
  tokenlab down            end the only lab that runs
  tokenlab down mine
  tokenlab down --all      end all labs, and take away what lost its owner";

/// End a lab
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The lab [default: the only one that runs]
    #[arg(env = "LAB_NAME", default_value = "", hide_default_value = true)]
    name: NameOrNone,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { name } = self;
        let registry = Registry::from_env()?;
        let found = registry.select(name.0.as_ref())?;
        let name = found.name.clone();
        registry.end(&found).await?;
        let _ = writeln!(anstream::stderr(), "the lab `{name}` has ended");
        Ok(ExitCode::SUCCESS)
    }
}
