//! The program; everything that it does is in the library or in `cli`.

use std::process::ExitCode;

use clap::Parser as _;

mod cli;

#[tokio::main]
async fn main() -> ExitCode {
    cli::Args::parse().run().await
}
