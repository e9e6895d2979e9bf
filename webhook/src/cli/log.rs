//! What is written to stderr while the program runs.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de};
use tokenlab_webhook::log_panics;
use tracing::level_filters::{LevelFilter, ParseLevelFilterError};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// What is logged: this level, and what is more important.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(LevelFilter);

impl FromStr for Level {
    type Err = ParseLevelFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// How a line of the log is written: for people, or as one object a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// How many lines may wait to be written; then whoever logs waits, too.
const WAITING: usize = 4096;

/// The log, as long as it is held: dropped, it writes what waits.
pub(super) struct Log {
    format: Format,
    lines: NonBlocking,
    _writer: WorkerGuard,
}

impl Log {
    /// Begins to log. From then on a panic is a line of the log, too.
    ///
    /// Lines are written by a thread of its own, as many at once as there are: when many reviews
    /// come, one system call is for several lines.
    pub(super) fn start(level: Option<Level>, format: Option<Format>) -> Self {
        let level = level.map_or(LevelFilter::INFO, |level| level.0);
        let format = format.unwrap_or_default();
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let (lines, writer) = NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(WAITING)
            .finish(BufWriter::with_capacity(64 * 1024, io::stderr()));
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(lines.clone());
        match format {
            Format::Text => log.with_ansi(colour).init(),
            Format::Json => log.json().flatten_event(true).init(),
        }
        log_panics();
        Self {
            format,
            lines,
            _writer: writer,
        }
    }

    /// Says where the server listens, at any level; as text without time and level, for people.
    pub(super) fn listening(&mut self, url: &str) {
        match self.format {
            // Where stderr is closed nobody reads it; that is no reason not to serve.
            Format::Text => drop(writeln!(self.lines, "listening on {url}")),
            Format::Json => tracing::info!(url, "listening"),
        }
    }
}
