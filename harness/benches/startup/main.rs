//! What a control plane, a lab and a review cost: `cargo bench -p tokenlab-harness --bench startup`.
//!
//! It prints a Markdown table of three parts, in which less is better:
//!
//! 1. Start and end of a control plane beside those of controller-runtime's envtest, with the same
//!    three programs, in turns: a round is tokenlab and envtest, every other time in this order,
//!    and tokenlab once more to end it gracefully. A start reaches from nothing to ready, with
//!    certificates and folders; an end reaches to the deleted folder.
//!    tokenlab is ready when `/readyz` answers `ok` to the admin, envtest when `/healthz` does
//!    and the namespace `default` is there; the note below the table says whether it was
//!    there for tokenlab too. The ratio is that of the medians; beside it stands the median of
//!    the rounds' own ratios, which a change of the machine's load cannot move.
//! 2. A whole lab: from nothing to kubectl's Forbidden for "mock", and what it is made of.
//! 3. A review through the apiserver: a `SelfSubjectReview` posted with a token that the apiserver
//!    has not seen (it asks the webhook), with one that it knows (it does not: the difference is
//!    what the webhook costs a user), and the same review posted to the webhook directly. One
//!    request at a time, one TLS connection for all.
//!
//! The first round of each is not counted. A figure is the median, with the least and the most in
//! brackets. envtest needs `go` on the PATH; without it its column stays empty and says so.
//!
//! With `-- --matrix`, another table instead: where a control plane's start-up time goes. The product's
//! own command lines are run with one thing changed at a time, in turns.

#![expect(clippy::print_stdout, reason = "the tables are what it is run for")]

mod control_plane;
mod lab;
#[path = "../report/machine.rs"]
mod machine;
mod matrix;
mod peer;
mod review;
#[path = "../report/sample.rs"]
mod sample;
#[path = "../report/table.rs"]
mod table;

use std::num::NonZeroUsize;

use clap::Parser as _;
use tokenlab_harness::assets::{Assets, Wanted};
use tokenlab_harness::progress::Progress;

use self::machine::Machine;
use self::peer::Peer;
use self::table::Table;

/// Measures a control plane against envtest, a whole lab, and a review through the apiserver
#[derive(Debug, clap::Parser)]
#[command(name = "startup")]
struct Args {
    /// How often each start is measured
    #[arg(long, env = "ROUNDS", default_value = "7")]
    rounds: NonZeroUsize,

    /// How many requests of each kind are measured
    #[arg(long, default_value = "300")]
    requests: NonZeroUsize,

    /// The version of Kubernetes: 1.37 (its newest patch) or v1.37.2
    #[arg(long, value_name = "VERSION", env = "LAB_KUBERNETES")]
    kubernetes: Option<Wanted>,

    /// Show where a control plane's start-up time goes, instead
    #[arg(long)]
    matrix: bool,

    /// What `cargo bench` passes to each benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Args::parse().run().await
}

impl Args {
    async fn run(self) -> anyhow::Result<()> {
        let Self {
            rounds,
            requests,
            kubernetes,
            matrix,
            bench: _,
        } = self;
        let wanted = kubernetes.unwrap_or_default();
        let progress = Progress::stderr();
        // One TLS provider for the clients made here; the harness does the same for its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let assets = Assets::ensure(&wanted, &progress).await?;
        let machine = Machine::observe(format!(
            "Kubernetes {}, {}",
            assets.version,
            peer::versions()
        ));

        if matrix {
            let table = matrix::measure(&assets, rounds.get(), &progress).await?;
            println!("\n{}\n\n{table}", machine.line());
            return Ok(());
        }
        let mut peer = Peer::build(&assets, &progress).await?;
        let mut table = Table::new(["", "tokenlab", "envtest", "ratio"]);
        let note =
            control_plane::measure(&assets, &mut peer, rounds.get(), &progress, &mut table).await?;
        lab::measure(&wanted, rounds.get(), &progress, &mut table).await?;
        review::measure(&wanted, requests.get(), &progress, &mut table).await?;
        println!("\n{}\n\n{table}\n{note}", machine.line());
        Ok(())
    }
}
