//! `tokenlab up`: a lab with a name, which stays.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use tokenlab_harness::named::{LabName, Registry, Spec, Status, launch};
use tokenlab_harness::{Backend, KEPT_FLAGS};

use super::choice::{Choice, conflict};
use super::selection;

const EXAMPLES: &str = "\
Examples:
  tokenlab up                       start a lab, which is called `default`
  tokenlab up mine --backend kind   another one, on a real cluster
  tokenlab up --flag authentication-token-webhook-cache-ttl=0s
  tokenlab up --webhook-command './authn {address} {cert} {key}'
  tokenlab up --backend existing --kubeconfig theirs.yaml
  tokenlab up --json | jq -r .kubeconfig

The lab stays until `tokenlab down`. Ctrl-C while it is being started leaves
nothing of it.";

/// Start a lab with a name, and leave it running
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to call it: lower-case letters, digits and `-` [default: `LAB_NAME`, or `default`]
    #[arg(conflicts_with = "lab")]
    name: Option<LabName>,

    /// The same as NAME
    #[arg(short, long, value_name = "NAME")]
    lab: Option<LabName>,

    #[command(flatten)]
    choice: Choice,

    /// A flag of kube-apiserver, without dashes; it replaces the lab's own. May be given again
    #[arg(long = "flag", value_name = "NAME=VALUE", value_parser = flag)]
    flags: Vec<(String, String)>,

    /// Print how it is, and all that is needed to use it, as JSON
    #[arg(long)]
    json: bool,
}

/// `--name=value` is taken as well: it is copied from a manifest.
pub(super) fn flag(text: &str) -> Result<(String, String), String> {
    match text.trim_start_matches('-').split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((changeable(name)?.to_owned(), value.to_owned()))
        }
        _ => Err("a flag is `NAME=VALUE`".to_owned()),
    }
}

/// Refuses at once what would have the lab wait for an apiserver that it cannot reach.
pub(super) fn changeable(name: &str) -> Result<&str, String> {
    if KEPT_FLAGS.contains(&name) {
        return Err(format!(
            "the lab needs `{name}` as it is, to find its kube-apiserver and that etcd; where that \
             listens is in the kubeconfig that `tokenlab status` names"
        ));
    }
    Ok(name)
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            name,
            lab,
            choice,
            flags,
            json,
        } = self;
        choice.check();
        if choice.backend == Backend::Existing && !flags.is_empty() {
            conflict(
                "`--flag` is for a cluster that is made here: no flag of one that exists is touched",
            );
        }
        let existing = choice.existing()?;
        let Choice {
            backend,
            wire,
            reach,
            service_address,
            no_agent,
            kubeconfig: _,
            context: _,
            webhook,
            kubernetes,
        } = choice;
        let name = name.or(lab).or_else(selection::from_env);
        let name = name.unwrap_or_default();
        // What is missing, or there already, is told before anything is started.
        Registry::from_env()?.check_free(&name)?;
        backend.check().await?;
        let spec = Spec {
            backend,
            kubernetes: kubernetes.unwrap_or_default(),
            flags,
            wire: wire.unwrap_or_default(),
            reach: reach.unwrap_or_default(),
            service_address: service_address.unwrap_or_default(),
            agent: !no_agent,
            existing,
            webhook: webhook.spec(backend)?,
        };
        let program = std::env::current_exe().context("the program's own path is not known")?;
        let begun = Instant::now();
        let status = launch(&program, &name, &spec).await?;
        if json {
            super::print_json(&status)?;
        } else {
            say(&status, begun)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn say(status: &Status, begun: Instant) -> anyhow::Result<()> {
    let green = AnsiColor::Green.on_default().bold();
    let dim = Style::new().dimmed();
    let name = &status.name;
    let mut stdout = anstream::stdout().lock();
    let written = writeln!(
        stdout,
        "{green}✓{green:#} the lab `{name}` is ready: Kubernetes {} on {} {dim}({:.1} s){dim:#}\n\n{}{}",
        status.kubernetes,
        status.backend,
        begun.elapsed().as_secs_f64(),
        usage(status),
        (status.operator.as_ref()).map_or_else(String::new, |told| format!("\n\n{told}")),
    );
    written.context(super::UNWRITABLE)
}

/// How to use it.
fn usage(status: &Status) -> String {
    let name = &status.name;
    let rows = [
        (
            format!("tokenlab kubectl -l {name} get ns"),
            "kubectl as its admin",
        ),
        (
            format!("tokenlab kubectl -l {name} --as-token T get ns"),
            "and as a token's user",
        ),
        (format!("tokenlab shell -l {name}"), "a shell with all that"),
        (format!("tokenlab review -l {name} T"), "ask the webhook"),
        (
            format!("tokenlab set -l {name} T --refuse"),
            "change what it answers",
        ),
        (format!("tokenlab watch -l {name}"), "see what it is asked"),
        (
            format!("tokenlab flags -l {name}"),
            "kube-apiserver's flags",
        ),
        (format!("tokenlab logs -l {name}"), "and what it writes"),
        (
            format!("tokenlab status {name}"),
            "how it is, and its files",
        ),
        (format!("tokenlab down {name}"), "its end"),
    ];
    let rows = rows.map(|(command, what)| [command, what.to_owned()]);
    let lines = super::table::aligned(&rows).into_iter();
    lines
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
