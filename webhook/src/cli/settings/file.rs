//! The configuration file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::Settings;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read configuration `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is no YAML, or has a key or a value in it that is none.
    #[error("configuration `{}`, line {line}: {message}", path.display())]
    Line {
        path: PathBuf,
        line: u64,
        message: String,
    },
}

/// The settings of a file, and on which line each of its keys has its value.
pub(crate) fn read(path: &Path) -> Result<(Settings, HashMap<String, u64>), FileError> {
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|error| FileError::Line {
        path: path.to_owned(),
        line: error.location().map_or(1, |location| location.line()),
        message: message(&error),
    })
}

fn parse(text: &str) -> Result<(Settings, HashMap<String, u64>), serde_saphyr::Error> {
    // An empty file says nothing, which is allowed.
    let settings: Option<Settings> = serde_saphyr::from_str(text)?;
    let keys: Option<HashMap<String, Spanned<IgnoredAny>>> = serde_saphyr::from_str(text)?;
    let lines = keys.unwrap_or_default().into_iter();
    let lines = lines.map(|(key, value)| (key, value.referenced.line()));
    Ok((settings.unwrap_or_default(), lines.collect()))
}

/// What is wrong, without the place, which is told apart, and without the file's text.
fn message(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string()
}
