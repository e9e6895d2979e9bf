//! Durations as a person writes them: in configuration files, on command lines.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, de};

use crate::timeout;

/// No duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: write it like `500ms`, `10s` or `1m30s`")]
#[non_exhaustive]
pub struct ParseDurationError {
    /// What was written.
    pub text: String,
}

/// Reads a duration as Go and Kubernetes write it (`500ms`, `10s`, `1m30s`, `0`), of numbers with
/// the units `ns`, `us`, `ms`, `s`, `m` and `h`.
pub fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    timeout::parse(text).ok_or_else(|| ParseDurationError {
        text: text.to_owned(),
    })
}

/// For `#[serde(deserialize_with = "…")]`: [`parse`] of a text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}
