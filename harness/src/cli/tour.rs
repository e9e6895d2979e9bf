//! `tokenlab tour`: the tutorial, shown step by step on a real control plane.

mod acts;
mod audience;
mod bare;
mod cluster;
mod guide;
mod page;
mod scenes;
mod step;
mod typist;
mod users;
mod web;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use camino::Utf8Path;
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use tokenlab_harness::Backend;
use tokenlab_harness::assets::Wanted;

use audience::Surroundings;
use audience::{Person, Reader, is_gone};
use bare::Bare;
use cluster::Clustered;
use guide::{End, Stage, guide};
use step::Step;

use super::UNWRITABLE;
use super::choice::conflict;
use super::webhook::TOKEN;

/// How long the apiserver remembers what the webhook said; 2 min by default
/// (`pkg/kubeapiserver/options/authentication.go`, v1.37.2).
const CACHE_FLAG: &str = "authentication-token-webhook-cache-ttl";
const CACHE_TTL: &str = "2s";

const EXAMPLES: &str = "\
Examples:
  tokenlab tour                    Enter goes on, b back, s is a shell, q quits
  tokenlab tour --list             the steps
  tokenlab tour --from forbidden   begin there; what it needs is done before
  tokenlab tour --script           all of it without keys, to read or record
  tokenlab tour --backend kind     on a real cluster, the webhook in it

Whichever way it ends, nothing that it started is left.";

/// A guided tour, step by step: the same from nothing, and on to a role, a revoked token and what
/// breaks it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What the control plane runs on
    #[arg(long, value_enum, default_value_t, env = "LAB_BACKEND")]
    backend: Backend,

    /// The version of Kubernetes: 1.37 (its newest patch) or v1.37.2
    #[arg(long, value_name = "VERSION", env = "LAB_KUBERNETES", value_parser = super::version)]
    kubernetes: Option<Wanted>,

    /// Run through without keys
    #[arg(long)]
    script: bool,

    /// The step to begin with, by its name or number
    #[arg(long, value_name = "STEP")]
    from: Option<Step>,

    /// Print the steps, and run none
    #[arg(long, conflicts_with_all = ["script", "from"])]
    list: bool,
}

/// Whether somebody is there to press keys.
pub(super) fn is_for_a_person() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The tutorial's TokenReview.
fn review() -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "authentication.k8s.io/v1beta1",
        "kind": "TokenReview",
        "spec": { "token": TOKEN },
    })
}

/// Has a program where a person would type it.
fn link(path: &Utf8Path, program: &Utf8Path) -> anyhow::Result<()> {
    let linked = std::os::unix::fs::symlink(program, path);
    linked.with_context(|| format!("`{path}` could not be made"))
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            backend,
            kubernetes,
            script,
            from,
            list,
        } = self;
        if list {
            return list_steps();
        }
        if !script && !is_for_a_person() {
            let said = "the tour is led by keys, and there is no terminal: add `--script`";
            super::Args::command()
                .error(ErrorKind::MissingRequiredArgument, said)
                .exit()
        }
        let from = from.unwrap_or(Step::Apiserver);
        let wanted = kubernetes.unwrap_or_default();
        let ended = match backend {
            Backend::Existing => {
                conflict("the tour makes its own cluster: `--backend bare`, `kind` or `k3s`")
            }
            Backend::Bare => {
                let mut stage = Bare::new(wanted).await?;
                let surroundings = stage.surroundings();
                let ended = Box::pin(lead(&mut stage, surroundings, script, from)).await;
                stage.end(failure(&ended)).await;
                ended
            }
            Backend::Kind | Backend::K3s => {
                let mut stage = Clustered::new(backend, wanted).await?;
                let surroundings = stage.surroundings();
                let ended = Box::pin(lead(&mut stage, surroundings, script, from)).await;
                stage.end(failure(&ended)).await;
                ended
            }
        };
        if ended? == End::Seen {
            let mut stdout = anstream::stdout().lock();
            writeln!(stdout, "\nThat is all. Nothing of it is left.").context(UNWRITABLE)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is wrong with the lab.
fn failure(ended: &anyhow::Result<End>) -> Option<&anyhow::Error> {
    ended.as_ref().err().filter(|error| !is_gone(error))
}

/// Leads whoever is there through the steps.
async fn lead(
    stage: &mut impl Stage,
    surroundings: Surroundings,
    script: bool,
    from: Step,
) -> anyhow::Result<End> {
    if script {
        guide(stage, &mut Reader, from).await
    } else {
        guide(stage, &mut Person::new(surroundings)?, from).await
    }
}

fn list_steps() -> anyhow::Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    for step in Step::ALL {
        writeln!(
            stdout,
            "{:>2}  {:<14} {}",
            step.number(),
            step.name(),
            step.title()
        )
        .context(UNWRITABLE)?;
    }
    Ok(ExitCode::SUCCESS)
}
