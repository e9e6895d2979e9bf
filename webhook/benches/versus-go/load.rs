//! The load generators, run on the core that the server does not have.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::case::{Case, HEADERS, TARGET};
use crate::program::output;
use crate::server::{Server, pinned};

/// Where the load runs.
const CORE: &str = "1";

/// What a server did under as much load as it takes.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) per_second: f64,
    pub(crate) per_processor_second: f64,
    /// In milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Latencies at a given pace, in milliseconds.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// h2load: each answer is followed by the next request at once.
pub(crate) async fn closed(
    case: &Case,
    server: &Server,
    seconds: u64,
    folder: &Path,
) -> anyhow::Result<Closed> {
    let log = folder.join("h2load.log");
    // It is appended to.
    std::fs::remove_file(&log).ok();
    let mut command = pinned(CORE);
    command.args(["h2load", "--threads", "1"]);
    command.arg(format!("--clients={}", case.connections));
    command.arg(format!("--max-concurrent-streams={}", case.streams));
    command.arg(format!("--duration={seconds}"));
    if !case.http2 {
        command.arg("--h1");
    }
    for header in HEADERS {
        command.args(["--header", header]);
    }
    command.arg("--data").arg(case.body.file(folder));
    command.arg("--log-file").arg(&log);
    command.arg(server.url(TARGET));
    let before = server.processor_time()?;
    let said = output(&mut command).await?;
    let taken = server.processor_time()?.saturating_sub(before);
    let log = std::fs::read_to_string(&log)?;
    let mut answers = Answers::read(&log).with_context(|| said)?;
    let requests = answers.count();
    Ok(Closed {
        per_second: requests / answers.lasted.as_secs_f64(),
        per_processor_second: requests / taken.as_secs_f64(),
        p50: answers.percentile(0.5),
        p99: answers.percentile(0.99),
    })
}

/// oha: requests are sent at a pace, whatever becomes of those before. One that finds no stream
/// free waits, and its wait counts.
pub(crate) async fn open(
    case: &Case,
    server: &Server,
    seconds: u64,
    rate: u64,
    folder: &Path,
) -> anyhow::Result<Open> {
    let mut command = pinned(CORE);
    command.args(["oha", "--no-tui", "--output-format", "json"]);
    command.args(["--worker-threads", "1", "--latency-correction", "-w"]);
    command.args(["-m", "POST", "-z", &format!("{seconds}s")]);
    command.args(["-q", &rate.to_string()]);
    command.args(["-c", &case.connections.to_string()]);
    if case.http2 {
        command.args(["--http2", "-p", &case.streams.to_string()]);
    }
    for header in HEADERS {
        command.args(["-H", header]);
    }
    command.arg("-D").arg(case.body.file(folder));
    command.arg("--cacert").arg(folder.join("ca.crt"));
    command.arg(server.url(TARGET));
    let told: Told = serde_json::from_str(&output(&mut command).await?)?;
    let Told {
        percentiles,
        codes,
        errors,
    } = told;
    // What the end cut off is no error of the server's.
    let errors: Vec<_> = (errors.keys())
        .filter(|error| *error != "aborted due to deadline")
        .collect();
    if codes.keys().ne(["200"]) || !errors.is_empty() {
        bail!("oha saw the status codes {codes:?} and the errors {errors:?}");
    }
    let answered: u64 = codes.values().sum();
    // Then it was no open loop. What is a little late counts as late.
    if answered * 4 < rate * seconds * 3 {
        bail!(
            "only {answered} of {rate} requests a second in {seconds} s: is the load's core busy?"
        );
    }
    let of = |name: &str| {
        let seconds = percentiles.get(name).copied().flatten();
        anyhow::Ok(seconds.with_context(|| format!("oha tells no {name}"))? * 1e3)
    };
    Ok(Open {
        p50: of("p50")?,
        p99: of("p99")?,
        p999: of("p99.9")?,
    })
}

/// What oha prints, as far as it matters here; latencies are in seconds.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(rename = "latencyPercentiles")]
    percentiles: BTreeMap<String, Option<f64>>,
    #[serde(rename = "statusCodeDistribution")]
    codes: BTreeMap<String, u64>,
    #[serde(rename = "errorDistribution")]
    errors: BTreeMap<String, u64>,
}

/// What h2load has logged.
#[derive(Debug)]
struct Answers {
    /// Microseconds, sorted.
    latencies: Vec<u32>,
    /// From the first request to the last answer.
    lasted: Duration,
}

impl Answers {
    /// A line is the time of the request in microseconds, the status code, and the microseconds
    /// until the answer's end.
    fn read(log: &str) -> anyhow::Result<Self> {
        let (mut first, mut last) = (u64::MAX, 0);
        let mut latencies = Vec::new();
        for line in log.lines() {
            let mut fields = line.split('\t');
            let mut next = || {
                fields
                    .next()
                    .with_context(|| format!("a strange line: {line}"))
            };
            let sent: u64 = next()?.parse()?;
            let code = next()?;
            if code != "200" {
                bail!("a request was answered by {code}");
            }
            let latency: u32 = next()?.parse()?;
            first = first.min(sent);
            last = last.max(sent + u64::from(latency));
            latencies.push(latency);
        }
        if latencies.is_empty() {
            bail!("no request was answered");
        }
        latencies.sort_unstable();
        Ok(Self {
            latencies,
            lasted: Duration::from_micros(last - first),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn count(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// In milliseconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    fn percentile(&mut self, part: f64) -> f64 {
        let rank = (self.count() * part).ceil() as usize;
        f64::from(self.latencies[rank.saturating_sub(1)]) / 1e3
    }
}
