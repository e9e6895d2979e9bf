//! `tokenlab kubectl`: the lab's kubectl, as its admin or with a token.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use camino::Utf8PathBuf;
use tokenlab_harness::named::{Request, Response};
use tokenlab_webhook::Token;

use super::selection::Selection;
use super::token;

const EXAMPLES: &str = "\
Examples:
  tokenlab kubectl get ns
  tokenlab kubectl -l mine -- get pods --all-namespaces
  tokenlab kubectl --as-token ZGVtbW8tcGFzc3dvcmQ= auth whoami
  pass show token | tokenlab kubectl --as-token-file - auth whoami

What begins with kubectl's first word, or stands behind `--`, is kubectl's. It
becomes this process: its exit status, its input and output, Ctrl-C. A token
reaches it by a kubeconfig in the lab's folder, never on its command line; with
`--as-token-file` it stands on none at all.";

/// Run the kubectl of a lab's version, as its admin or with a token
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Be whom the webhook takes this token for, not the admin
    #[arg(long, value_name = "TOKEN", value_parser = token::parse_as)]
    as_token: Option<Token>,

    /// The same, with the token in a file; `-`: on the standard input, all of it
    #[arg(long, value_name = "FILE|-", conflicts_with = "as_token")]
    as_token_file: Option<Utf8PathBuf>,

    /// kubectl's arguments
    #[arg(trailing_var_arg = true, value_name = "ARGS")]
    words: Vec<OsString>,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            selection,
            as_token,
            as_token_file,
            words,
        } = self;
        let token = match as_token_file {
            Some(path) => Some(token::read(&path)?),
            None => as_token,
        };
        let client = selection.connect()?;
        let status = client.status().await?;
        let kubeconfig = match token {
            None => status.kubeconfig,
            Some(token) => match client.ask(&Request::User { token }).await? {
                Response::Kubeconfig(path) => path,
                _ => return Err(client.other().into()),
            },
        };
        let error = Command::new(&status.kubectl)
            .args(words)
            .env("KUBECONFIG", kubeconfig)
            // What a lab's API is like is of no use once the lab is gone.
            .env("KUBECACHEDIR", status.folder.join("kubectl-cache"))
            .exec();
        Err(error).with_context(|| format!("`{}` could not be run", status.kubectl))
    }
}
