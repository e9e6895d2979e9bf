//! What a real cluster costs: `cargo bench -p tokenlab-harness --bench clusters`. It needs Docker.
//!
//! It prints a Markdown table, in which less is better, of three ways from nothing to kubectl's
//! Forbidden for "mock", each on a kind cluster of one node, with the same node image, webhook image
//! and objects, in turns:
//!
//! 1. tokenlab, the webhook's flag set when the cluster is created;
//! 2. tokenlab, the flag patched into the running apiserver's manifest;
//! 3. the tutorial's steps, scripted with plain kind, kubectl and docker (`tutorial.sh`), without the
//!    time that a person takes to type them.
//!
//! Making the images, and ending the clusters, does not count. Every other round goes the other way
//! round; before the first, one cluster is made that does not count. A figure is the median, with the
//! least and the most in brackets. The tutorial's script cannot tell whether the apiserver that
//! answers `/readyz` is the old one: compare the row that goes to Forbidden. The ratio is that
//! of the medians; beside it stands the median of the rounds' own ratios.

#![expect(clippy::print_stdout, reason = "the table is what it is run for")]

mod cluster;
#[path = "../report/machine.rs"]
mod machine;
mod phase;
#[path = "../report/sample.rs"]
#[expect(dead_code, reason = "another benchmark tells latencies too")]
mod sample;
#[path = "../report/table.rs"]
mod table;
mod tutorial;

use std::num::NonZeroUsize;

use anyhow::Context as _;
use camino::Utf8Path;
use clap::Parser as _;
use tokenlab_harness::assets::{Assets, Sources, Wanted};
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Backend, Image, RunFolder, Wire};

use self::machine::Machine;
use self::phase::{Phase, Way};
use self::table::Table;
use self::tutorial::Tutorial;

/// Measures kind clusters with a webhook, beside the tutorial's steps by hand
#[derive(Debug, clap::Parser)]
#[command(name = "clusters")]
struct Args {
    /// How often each way is measured; a round takes about two minutes
    #[arg(long, env = "ROUNDS", default_value = "3")]
    rounds: NonZeroUsize,

    /// The version of Kubernetes: 1.37 (its newest patch) or v1.37.2
    #[arg(long, value_name = "VERSION", env = "LAB_KUBERNETES")]
    kubernetes: Option<Wanted>,

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
            kubernetes,
            bench: _,
        } = self;
        let wanted = kubernetes.unwrap_or_default();
        let progress = Progress::stderr();
        Backend::Kind.check().await?;
        let image = Image::builder().progress(progress.clone()).build().await?;
        let assets = Assets::ensure(&wanted, &progress).await?;
        let tutorial = Tutorial {
            kind: Sources::from_env()?.kind(&progress).await?,
            kubectl: assets.kubectl.clone(),
            files: RunFolder::create()?,
        };
        let machine = Machine::observe(format!(
            "Kubernetes {}, {}, Docker Engine {}",
            assets.version,
            said(&tutorial.kind, &["version"])?,
            said(
                "docker".into(),
                &["version", "--format", "{{.Server.Version}}"]
            )?
        ));

        let first = cluster::run(wanted.clone(), &image, Wire::Patch, Some(&tutorial.files));
        let title = "a cluster that does not count";
        progress.step(title, Box::pin(first)).await?;
        let mut ways = Ways::default();
        for round in 0..rounds.get() {
            let mut order = [Turn::Create, Turn::Patch, Turn::Tutorial];
            if !round.is_multiple_of(2) {
                order.reverse();
            }
            for turn in order {
                let title = format!("round {} of {rounds}: {}", round + 1, turn.name());
                let work = Box::pin(ways.take(turn, &wanted, &image, &tutorial));
                progress.step(&title, work).await?;
            }
        }
        println!("\n{}\n\n{}", machine.line(), ways.table());
        Ok(())
    }
}

/// A way to Forbidden.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Create,
    Patch,
    Tutorial,
}

impl Turn {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "tokenlab, wired at creation",
            Self::Patch => "tokenlab, patched",
            Self::Tutorial => "the tutorial",
        }
    }
}

#[derive(Debug, Default)]
struct Ways {
    create: Way,
    patch: Way,
    tutorial: Way,
}

impl Ways {
    async fn take(
        &mut self,
        turn: Turn,
        wanted: &Wanted,
        image: &Image,
        tutorial: &Tutorial,
    ) -> anyhow::Result<()> {
        let own = async |wire| cluster::run(wanted.clone(), image, wire, None).await;
        match turn {
            Turn::Create => self.create.add(own(Wire::Create).await?),
            Turn::Patch => self.patch.add(own(Wire::Patch).await?),
            Turn::Tutorial => self.tutorial.add(tutorial.run().await?),
        }
        Ok(())
    }

    fn table(&self) -> Table<6> {
        let [create, patch, tutorial] = [Turn::Create, Turn::Patch, Turn::Tutorial].map(Turn::name);
        let ratio = "patched to tutorial";
        let mut table = Table::new(["", "budget", create, patch, tutorial, ratio]);
        let whole = "nothing to Forbidden for \"mock\"";
        table.row(self.row(whole, "25 s, 40 s", |_| true));
        for phase in Phase::ALL {
            let budget = if phase == Phase::Wire { "12 s" } else { "" };
            table.row(self.row(phase.title(), budget, |each| each == phase));
        }
        let patched = |phase| matches!(phase, Phase::Wire | Phase::Forbidden);
        let mut row = self.row("flag patched, to Forbidden", "", patched);
        // Wired at creation, it has nothing of this.
        row[2].clear();
        table.row(row);
        table
    }

    fn row(&self, what: &str, budget: &str, counts: impl Fn(Phase) -> bool) -> [String; 6] {
        let samples = [&self.create, &self.patch, &self.tutorial].map(|way| way.sample(&counts));
        let ratio = match &samples {
            [_, Some(patch), Some(tutorial)] => patch.ratio(tutorial),
            _ => String::new(),
        };
        let [create, patch, tutorial] =
            samples.map(|sample| sample.map_or_else(String::new, |sample| sample.to_string()));
        [
            what.to_owned(),
            budget.to_owned(),
            create,
            patch,
            tutorial,
            ratio,
        ]
    }
}

/// The first words of what a program says: its name and version.
fn said(program: &Utf8Path, args: &[&str]) -> anyhow::Result<String> {
    let output = std::process::Command::new(program).args(args).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<_> = text.split_whitespace().take(2).collect();
    Ok(words.join(" "))
}
