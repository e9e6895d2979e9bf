//! `tokenlab shell`: the user's own shell, with the lab's kubectl and kubeconfig.

mod leaving;
pub(super) mod program;

use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use camino::Utf8Path;
use tokenlab_harness::named::Status;

use super::selection::Selection;
use leaving::{Leaving, Terminal};
use program::Program;

const EXAMPLES: &str = "\
Examples:
  tokenlab shell
  tokenlab shell -l mine --down     end the lab when the shell is left
  SHELL=zsh tokenlab shell

In it, `kubectl` is that of the lab's version and talks to the lab as its
admin, `tokenlab` means this lab, and the prompt begins with `(lab:NAME)`.
Your own settings are read first: ~/.bashrc of bash, zsh's .zshenv and .zshrc,
fish's configuration, the file that ENV names of another sh. A shell of
another kind has all but the mark.";

/// The variable by which a shell in a shell is noticed: the lab's name.
pub(super) const NESTED: &str = "TOKENLAB_SHELL";

/// Open a shell in which kubectl talks to a lab
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Keep the lab when the shell is left, without asking; where nobody can be asked, it is kept
    #[arg(long)]
    keep: bool,

    /// End the lab when the shell is left, without asking
    #[arg(long, conflicts_with = "keep")]
    down: bool,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            selection,
            keep,
            down,
        } = self;
        let client = selection.connect()?;
        let status = client.status().await?;
        match std::env::var(NESTED) {
            Ok(outer) if outer == status.name.as_str() => {
                anyhow::bail!("this is a shell of the lab `{outer}` already; `exit` leaves it")
            }
            Ok(outer) => note(&format!(
                "this shell is inside that of the lab `{outer}`; `exit` goes back to it"
            )),
            Err(_) => {}
        }
        let program = Program::of_the_user();
        anyhow::ensure!(
            program.may_be_there(),
            "the variable SHELL names `{}`, which is not there",
            program.path()
        );
        if !program.marks_its_prompt() {
            note(&format!("`{}` gets no mark in its prompt", program.path()));
        }
        let mut command = prepared(&program, &status)
            .with_context(|| format!("`{}` could not be prepared", status.folder))?;
        note(&format!(
            "kubectl {} talks to the lab `{}`; `exit` leaves",
            status.kubernetes, status.name
        ));
        let terminal = Terminal::of_stdin();
        let shell = command.spawn();
        let shell = shell.with_context(|| format!("`{}` could not be run", program.path()))?;
        let code = leaving::wait(shell).await?;
        terminal.take_back();
        let leaving = match (keep, down) {
            (true, _) => Leaving::Keep,
            (_, true) => Leaving::Down,
            _ => Leaving::asked(&client).await?,
        };
        leaving.act(&client).await?;
        Ok(code)
    }
}

/// The shell's command, and the files that it reads.
fn prepared(program: &Program, status: &Status) -> io::Result<tokio::process::Command> {
    let folder = status.folder.join("shell");
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin)?;
    link(status.kubectl.as_std_path(), &bin.join("kubectl"))?;
    let this = std::env::current_exe()?;
    link(&this, &bin.join("tokenlab"))?;
    let mut command = program.command(&folder)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(bin.clone().into()).chain(std::env::split_paths(&path));
    // Last: when the lab has ended, and `bin` with it, this program is still found.
    let path = path.chain(this.parent().map(Into::into));
    command
        .env("PATH", std::env::join_paths(path).map_err(io::Error::other)?)
        .env("KUBECONFIG", &status.kubeconfig)
        .env("KUBECACHEDIR", status.folder.join("kubectl-cache"))
        .env(super::selection::VARIABLE, status.name.as_str())
        .env(NESTED, status.name.as_str())
        // For the files that are read behind the user's own, which may set the first two anew.
        .env("TOKENLAB_BIN", bin)
        .env("TOKENLAB_KUBECONFIG", &status.kubeconfig);
    Ok(command)
}

/// One step: another shell of the lab may do the same, or use it.
fn link(target: &Path, path: &Utf8Path) -> io::Result<()> {
    let draft = path.with_extension(std::process::id().to_string());
    symlink(target, &draft)?;
    std::fs::rename(&draft, path)
}

fn note(text: &str) {
    let dim = anstyle::Style::new().dimmed();
    let _ = writeln!(anstream::stderr(), "{dim}{text}{dim:#}");
}
