//! What is written to stderr while the program runs.

use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de};
use tokenlab_webhook::log_panics;
use tracing::level_filters::{LevelFilter, ParseLevelFilterError};

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

/// Begins to log. From then on a panic is a line of the log, too.
pub(super) fn start(level: Option<Level>, format: Option<Format>) {
    let level = level.map_or(LevelFilter::INFO, |level| level.0);
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr);
    match format.unwrap_or_default() {
        Format::Text => log.with_ansi(colour).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
    log_panics();
}
