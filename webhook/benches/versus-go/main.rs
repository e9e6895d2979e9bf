//! Our server against two in Go: `cargo bench -p tokenlab-webhook --bench versus-go`.
//!
//! It prints a Markdown table. The servers answer the same reviews by a mock that knows every
//! token, and are measured in turns, each pinned to the first core, with the load on the second:
//!
//! 1. **tokenlab**: the program as the image has it, with its log of one line for each review;
//!    beside it the same without that log.
//! 2. **net/http**: Go's standard library, with the same checks, limits and log line
//!    (`benches/peers/net-http`). What the two say of bad requests is compared first.
//! 3. **controller-runtime**: its handler behind its server, both as they come, which logs no
//!    reviews (`benches/peers/controller-runtime`).
//!
//! All of it over TLS 1.3 on loopback, with the octets and headers that an apiserver sends. Logs go
//! to `/dev/null`. The closed loop (h2load) shows what a server can do: requests per second, and,
//! since the load may be what is slow, per second of the server's own processor time. The open loop
//! (oha) sends at one pace to all of them, half of what the slowest could do, and counts the time
//! that a request had to wait for its turn. Memory is the resident set of a process: once it has
//! answered one review, at most under all of its loads and after them, and of a fresh one with ten
//! thousand connections that have been quiet since their one review.
//!
//! A figure is the median of the rounds; behind ± is the half of what lies between the least and
//! the most. In brackets: by what tokenlab (with its log) is better, as the median of the rounds'
//! own ratios, which a change of the machine's load cannot move.
//!
//! It needs Go, `taskset` (util-linux), `h2load` (Debian: nghttp2-client), `oha` (`cargo install
//! oha`), two cores that have nothing else to do, and `ulimit -Hn` above ten thousand.

#![expect(clippy::print_stdout, reason = "the table is what it is run for")]
#![expect(
    clippy::print_stderr,
    reason = "what is measured now, and what is in the way"
)]

mod case;
mod checks;
mod figure;
mod idle;
mod load;
#[path = "../../../harness/benches/report/machine.rs"]
mod machine;
mod measure;
mod program;
mod server;
#[path = "../../../harness/benches/report/table.rs"]
mod table;

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Parser as _;

use self::machine::Machine;
use self::measure::Measure;
use self::program::Programs;

/// Measures the webhook's server against Go's net/http and controller-runtime's handler
#[derive(Debug, clap::Parser)]
#[command(name = "versus-go")]
struct Args {
    /// How often each load is run
    #[arg(long, env = "ROUNDS", default_value = "5")]
    rounds: NonZeroU64,

    /// How long each load runs, in seconds
    #[arg(long, default_value = "4")]
    seconds: NonZeroU64,

    /// How many idle connections a server must hold; 0 leaves that out
    #[arg(long, default_value = "10000")]
    idle: usize,

    /// Measure this tokenlab-webhook instead of the one of this repository, built for the image
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// Only the loads whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

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
            seconds,
            idle,
            program,
            only,
            bench: _,
        } = self;
        // One TLS provider for the clients made here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        server::more_files(idle)?;
        let programs = Programs::build(program).await?;
        let machine = Machine::observe(programs.versions().await?);
        let measure = Measure {
            rounds: rounds.get(),
            seconds: seconds.get(),
            idle,
            only: &only,
        };
        let report = measure.run(&programs).await?;
        println!("\n{}\n\n{report}", machine.line());
        Ok(())
    }
}
