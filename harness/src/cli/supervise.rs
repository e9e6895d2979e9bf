//! `tokenlab supervise`: the owner of a lab, which `up` starts.

use std::process::ExitCode;

use tokenlab_harness::named;

/// Be the owner of a lab: it is `up` that starts it
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    pub(super) async fn run(self) -> ExitCode {
        let Self {} = self;
        named::supervise().await
    }
}
