//! What is written to stderr while the program runs.

mod events;
mod lines;

use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de};
use tokenlab_webhook::log_panics;
use tracing::level_filters::{LevelFilter, ParseLevelFilterError};

use events::Events;
use lines::Lines;

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

/// The log, as long as it is held: dropped, it writes what waits.
pub(super) struct Log {
    format: Format,
    lines: Lines,
}

impl Log {
    /// Begins to log. From then on a panic is a line of the log, too.
    pub(super) fn start(level: Option<Level>, format: Option<Format>) -> Self {
        let level = level.map_or(LevelFilter::INFO, |level| level.0);
        let format = format.unwrap_or_default();
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = Lines::start(io::stderr(), |lines| {
            tracing::error!(lines, "lost: whoever reads the log was too slow");
        });
        let writer = lines.clone();
        let events = Events {
            level,
            format,
            colour,
            write: move |line: &[u8]| writer.write(line),
        };
        tracing::subscriber::set_global_default(events).expect("the log must be started once");
        log_panics();
        Self { format, lines }
    }

    /// Says where the server listens, at any level; as text without time and level, for people.
    pub(super) fn listening(&mut self, url: &str) {
        match self.format {
            Format::Text => {
                let line = format!("listening on {url}\n");
                self.lines.write(line.as_bytes());
            }
            Format::Json => tracing::info!(url, "listening"),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.finish();
    }
}
