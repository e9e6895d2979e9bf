//! The rounds, and the table that comes of them.

use anyhow::Context as _;

use crate::case::{CASES, Case};
use crate::checks::Checks;
use crate::figure::{Figure, digits};
use crate::idle;
use crate::load;
use crate::program::{Kind, Programs};
use crate::server::Server;
use crate::table::Table;

const COUNT: usize = Kind::ALL.len();

/// What is measured, and how often.
#[derive(Debug)]
pub(crate) struct Measure<'a> {
    pub(crate) rounds: u64,
    pub(crate) seconds: u64,
    pub(crate) idle: usize,
    pub(crate) only: &'a str,
}

/// One figure of each server, in the order of [`Kind::ALL`].
type Row = [Figure; COUNT];

/// Which of two is better.
#[derive(Clone, Copy)]
enum Better {
    More,
    Less,
}

impl Measure<'_> {
    /// The table, and a note below it.
    pub(crate) async fn run(&self, programs: &Programs) -> anyhow::Result<String> {
        let mut table = Table::new([
            "",
            "tokenlab",
            "the same, no log",
            "Go net/http",
            "controller-runtime",
        ]);
        let authority = std::fs::read(programs.file("ca.crt"))?;
        let checks = Checks::new(&authority)?;
        // First: a server that does not hold them shall fail before the minutes of the loads.
        let idle = self.idle(programs, &authority).await?;
        let mut servers = Vec::new();
        let mut rest = Row::default();
        for (kind, rest) in Kind::ALL.into_iter().zip(&mut rest) {
            let server = programs.start(kind).await?;
            checks.review(&server).await?;
            rest.add(server.resident()?);
            servers.push(server);
        }
        let note = checks.compare(&servers[0], &servers[2]).await?;
        for case in CASES.iter().filter(|case| case.name.contains(self.only)) {
            let heading = format!("**{}**", case.name);
            table.row([&heading, "", "", "", ""].map(ToOwned::to_owned));
            let rate = self.closed(case, &servers, programs, &mut table).await?;
            self.open(case, rate, &servers, programs, &mut table)
                .await?;
        }
        let [mut peak, mut loaded] = [(); 2].map(|()| Row::default());
        for (index, server) in servers.iter().enumerate() {
            peak[index].add(server.peak()?);
            loaded[index].add(server.resident()?);
        }
        drop(servers);
        table.row(row("resident memory at rest, MiB", Better::Less, &[&rest]));
        table.row(row("at most under the loads, MiB", Better::Less, &[&peak]));
        table.row(row("after the loads, MiB", Better::Less, &[&loaded]));
        for row in idle {
            table.row(row);
        }
        let mut sizes = Row::default();
        for (size, kind) in sizes.iter_mut().zip(Kind::ALL) {
            size.add(programs.size(kind)?);
        }
        table.row(row("the image's one program, MB", Better::Less, &[&sizes]));
        Ok(format!("{table}\n{note}"))
    }

    /// As fast as they can: the pace at which the open loop shall ask.
    async fn closed(
        &self,
        case: &Case,
        servers: &[Server],
        programs: &Programs,
        table: &mut Table<5>,
    ) -> anyhow::Result<u64> {
        let [mut rate, mut work, mut p50, mut p99] = [(); 4].map(|()| Row::default());
        let folder = programs.folder.path();
        for server in servers {
            load::closed(case, server, 1, folder).await?;
        }
        for round in 0..self.rounds {
            eprintln!("{}: round {}", case.name, round + 1);
            for index in turns(round) {
                let done = load::closed(case, &servers[index], self.seconds, folder).await?;
                rate[index].add(done.per_second);
                work[index].add(done.per_processor_second);
                p50[index].add(done.p50);
                p99[index].add(done.p99);
            }
        }
        table.row(row(
            "requests per second of processor time",
            Better::More,
            &[&work],
        ));
        table.row(row("requests per second", Better::More, &[&rate]));
        table.row(row(
            "in a closed loop: p50 / p99, ms",
            Better::Less,
            &[&p50, &p99],
        ));
        let slowest = rate.iter().map(Figure::median).fold(f64::MAX, f64::min);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousand"
        )]
        let half = (slowest / 2.0) as u64;
        // Two digits: it stands in the table.
        let unit = 10_u64.pow(half.max(1).ilog10().saturating_sub(1));
        Ok((half / unit * unit).max(1))
    }

    /// At one pace for all.
    async fn open(
        &self,
        case: &Case,
        rate: u64,
        servers: &[Server],
        programs: &Programs,
        table: &mut Table<5>,
    ) -> anyhow::Result<()> {
        let [mut p50, mut p99, mut p999] = [(); 3].map(|()| Row::default());
        for round in 0..self.rounds {
            eprintln!("{}, {rate} a second: round {}", case.name, round + 1);
            for index in turns(round) {
                let folder = programs.folder.path();
                let seen = load::open(case, &servers[index], self.seconds, rate, folder).await?;
                p50[index].add(seen.p50);
                p99[index].add(seen.p99);
                p999[index].add(seen.p999);
            }
        }
        let name = format!("{}: p50 / p99 / p99.9 at {rate} a second, ms", case.name);
        table.row(row(&name, Better::Less, &[&p50, &p99, &p999]));
        Ok(())
    }

    /// The rows of quiet connections, if they are asked for.
    async fn idle(
        &self,
        programs: &Programs,
        authority: &[u8],
    ) -> anyhow::Result<Vec<[String; 5]>> {
        if self.idle == 0 {
            return Ok(Vec::new());
        }
        let [mut memory, mut cost] = [(); 2].map(|()| Row::default());
        for round in 0..self.rounds {
            for index in turns(round) {
                let kind = Kind::ALL[index];
                let (count, name) = (self.idle, kind.name());
                eprintln!("{count} idle connections to {name}: round {}", round + 1);
                let server = programs.start(kind).await?;
                let connections = idle::open(server.address, count, authority).await;
                let connections = connections.context(name)?;
                memory[index].add(server.resident()?);
                let milliseconds = server.processor_time()?.as_secs_f64() * 1e3;
                let count = u32::try_from(connections.len())?;
                cost[index].add(milliseconds / f64::from(count));
            }
        }
        let held = format!("with {} idle connections, MiB", self.idle);
        let name = "processor time of a connection with one review, ms";
        Ok(vec![
            row(&held, Better::Less, &[&memory]),
            row(name, Better::Less, &[&cost]),
        ])
    }
}

/// Each round begins with another server.
fn turns(round: u64) -> impl Iterator<Item = usize> {
    let first = usize::try_from(round).unwrap_or_default();
    (0..COUNT).map(move |index| (first + index) % COUNT)
}

/// A row of one figure or of several beside each other; behind Go's, by what ours is better.
fn row(name: &str, better: Better, figures: &[&Row]) -> [String; 5] {
    let cell = |index: usize| {
        let texts: Vec<_> = (figures.iter())
            .map(|row| match figures.len() {
                1 => row[index].to_string(),
                _ => digits(row[index].median()),
            })
            .collect();
        let text = texts.join(" / ");
        if index < 2 {
            return text;
        }
        let ratios: Vec<_> = (figures.iter())
            .map(|row| match better {
                Better::More => row[0].ratio(&row[index]),
                Better::Less => row[index].ratio(&row[0]),
            })
            .map(|ratio| format!("{ratio:.1}"))
            .collect();
        format!("{text} ({} ×)", ratios.join(" / "))
    };
    [name.to_owned(), cell(0), cell(1), cell(2), cell(3)]
}
