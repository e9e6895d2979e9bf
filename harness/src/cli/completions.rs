//! `tokenlab completions`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

/// Print a completion script for a shell
///
/// bash: source <(tokenlab completions bash)
/// zsh:  tokenlab completions zsh >~/.zfunc/_tokenlab
/// fish: tokenlab completions fish | source
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { shell } = self;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut super::Args::command(), "tokenlab", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
