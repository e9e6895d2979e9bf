//! The command line: what it takes, how it ends.

mod assets;
mod choice;
mod completions;
mod demo;
mod doctor;
mod down;
mod failure;
mod file;
mod flags;
mod image;
mod kubectl;
mod list;
mod logs;
mod manifests;
mod node_image;
mod review;
mod selection;
mod set;
mod shell;
mod status;
mod supervise;
mod table;
mod token;
mod tour;
mod unread;
mod up;
mod watch;
mod webhook;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tokenlab_harness::assets::{Wanted, WantedError};
use tokio::signal::unix::{Signal, SignalKind, signal};

const EXAMPLES: &str = "\
Examples:
  tokenlab                           on a terminal: the guided tour
  tokenlab tour --script             the same without keys, to read or to record
  tokenlab demo                      a real kube-apiserver with the webhook
                                     wired in, to Forbidden for \"mock\"
  tokenlab demo --backend kind       the same on a real cluster (Docker)
  tokenlab demo --json | jq .kubectl what came of it, for scripts
  tokenlab up                        a lab that stays, in the background
  tokenlab kubectl --as-token abc get ns
                                     kubectl with a token, in that lab
  tokenlab set abc --user ann        the token is ann's from now on
  tokenlab watch                     each token that is decided about, live
  tokenlab doctor                    why a token is not known, and what to do
  tokenlab down                      the lab's end
  tokenlab demo --webhook-command './authn {address} {cert} {key}'
                                     a webhook of yours, started and asked
  tokenlab demo --backend existing --kubeconfig FILE
                                     into a cluster of yours, flags untouched
  tokenlab assets list               where Kubernetes' programs come from
  tokenlab image build               the webhook's container image, a file
  tokenlab completions zsh >~/.zfunc/_tokenlab

Environment:
  LAB_KUBERNETES    the version of Kubernetes: 1.37 (newest patch) or v1.37.2
  LAB_BACKEND       what a lab runs on: bare (default), kind, k3s or existing
  LAB_NAME          the lab that is meant, where `-l` does not say
  LAB_K3S_IMAGE     the image of k3s, if not rancher/k3s in that version
  LAB_DEBIAN_MIRROR where a node image's packages come from, if not apt's mirror
  LAB_KEEP=1        keep the run folder: logs, keys, kubeconfigs, commands
  LAB_ENVTEST_INDEX another index to download Kubernetes' programs by
  LAB_GO            the go that builds them, if not the one in PATH
  KUBEBUILDER_ASSETS, TEST_ASSET_ETCD, TEST_ASSET_KUBE_APISERVER,
  TEST_ASSET_KUBECTL
                    programs that are there already, named as for envtest
  NO_COLOR          no colours

Exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted.";

/// A lab for Kubernetes webhook token authentication: a real kube-apiserver, a webhook, and
/// what they say to each other.
#[derive(Debug, Parser)]
#[command(name = "tokenlab", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Tour(tour::Args),
    Demo(demo::Args),
    Up(up::Args),
    List(list::Args),
    Status(status::Args),
    Logs(logs::Args),
    Kubectl(kubectl::Args),
    Shell(shell::Args),
    Review(review::Args),
    Doctor(doctor::Args),
    Flags(flags::Args),
    Set(Box<set::Args>),
    Watch(watch::Args),
    Down(down::Args),
    #[command(hide = true)]
    Supervise(supervise::Args),
    Assets(assets::Args),
    Image(image::Args),
    Manifests(manifests::Args),
    NodeImage(node_image::Args),
    Completions(completions::Args),
}

/// A version of Kubernetes; an empty one, as a CI's matrix may set it, is none.
fn version(text: &str) -> Result<Wanted, WantedError> {
    if text.is_empty() {
        return Ok(Wanted::Default);
    }
    text.parse()
}

const UNWRITABLE: &str = "cannot write to the standard output";

/// For scripts.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(std::io::stdout().lock(), "{text}").context(UNWRITABLE)
}

pub(crate) fn main() -> ExitCode {
    let Args { command } = if std::env::args_os().len() == 1 && tour::is_for_a_person() {
        Args::parse_from(["tokenlab", "tour"])
    } else {
        Args::parse()
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&error.into()),
    };
    let ended = runtime.block_on(async {
        match command {
            // It ends its lab at a signal, which takes its time.
            Command::Supervise(args) => Ok(args.run().await),
            command => interruptible(command).await,
        }
    });
    // Not a plain drop: that waits for whatever a thread is blocked in, a lock for example.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| failure::report(&error))
}

/// Runs the command until it ends or a signal comes. A signal drops it where it is: that ends
/// its processes and deletes its folder.
async fn interruptible(command: Command) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let run = async {
        match command {
            // Boxed: it holds a whole lab, some 20 KiB.
            Command::Demo(args) => Box::pin(args.run()).await,
            Command::Up(args) => args.run().await,
            Command::List(args) => args.run(),
            Command::Status(args) => args.run().await,
            Command::Logs(args) => args.run().await,
            Command::Set(args) => args.run().await,
            Command::Watch(args) => args.run().await,
            Command::Down(args) => args.run().await,
            Command::Kubectl(args) => args.run().await,
            Command::Shell(args) => args.run().await,
            Command::Review(args) => args.run().await,
            Command::Doctor(args) => args.run().await,
            Command::Flags(args) => args.run().await,
            Command::Supervise(args) => Ok(args.run().await),
            Command::Tour(args) => Box::pin(args.run()).await,
            Command::Assets(args) => args.run().await,
            Command::Image(args) => args.run().await,
            Command::Manifests(args) => args.run(),
            Command::NodeImage(args) => Box::pin(args.run()).await,
            Command::Completions(args) => args.run(),
        }
    };
    // The branch that lost is dropped behind the `select!`: what follows a signal runs before.
    let mut run = std::pin::pin!(run);
    tokio::select! {
        ended = &mut run => ended,
        code = signals.next() => {
            tokio::spawn(end_at_a_second_one(signals));
            Ok(ExitCode::from(code))
        }
    }
}

#[expect(
    clippy::exit,
    reason = "what hangs is not waited for: the guardian ends the rest"
)]
async fn end_at_a_second_one(mut signals: Signals) {
    std::process::exit(signals.next().await.into())
}

/// The signals that end the program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one, and tells the exit status by the shells' convention: 128 and its number.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            _ = self.hangup.recv() => 129,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// clap wraps what is wider than the terminal, which has 80 columns: examples that cannot be pasted then, and
    /// paragraphs with lines of one word.
    #[test]
    fn what_follows_the_help_fits_a_usual_terminal() {
        fn check(command: &clap::Command) {
            let after = command.get_after_help().map(ToString::to_string);
            for line in after.unwrap_or_default().lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&super::Args::command());
    }
}
