//! `tokenlab-webhook completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::failure::Failure;
use super::out::print;

/// Print a completion script for a shell
///
/// bash: source <(tokenlab-webhook completion bash)
/// zsh:  tokenlab-webhook completion zsh >~/.zfunc/_tokenlab-webhook
/// fish: tokenlab-webhook completion fish | source
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { shell } = self;
        let mut command = super::Args::command();
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "tokenlab-webhook", &mut script);
        print(&script).map_err(Failure::Print)
    }
}
