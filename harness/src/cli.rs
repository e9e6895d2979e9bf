//! The command line.

mod assets;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

/// A lab for Kubernetes webhook token authentication.
#[derive(Debug, Parser)]
#[command(name = "tokenlab", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Assets(assets::Args),
}

pub(crate) fn main() -> ExitCode {
    let Args { command } = Args::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return report(&error.into()),
    };
    let result = match command {
        Command::Assets(args) => runtime.block_on(args.run()),
    };
    match result {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

fn report(error: &anyhow::Error) -> ExitCode {
    let mut stderr = anstream::stderr().lock();
    let hint = error
        .downcast_ref::<tokenlab_harness::assets::AssetsError>()
        .and_then(tokenlab_harness::assets::AssetsError::hint);
    // The exit code tells it too, when nobody reads the error output.
    let _ = writeln!(stderr, "error: {error:#}");
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "\nhint: {hint}");
    }
    ExitCode::FAILURE
}
