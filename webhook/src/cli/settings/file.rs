//! The configuration file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_saphyr::{Spanned, UserMessageFormatter};

use super::Settings;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read configuration `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is no YAML, or has a key or a value in it that is none; the message has the line.
    #[error("configuration `{}`: {message}", path.display())]
    Content { path: PathBuf, message: String },
}

/// The settings of a file, and on which line each of its keys is.
pub(crate) fn read(path: &Path) -> Result<(Settings, HashMap<String, u64>), FileError> {
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|error| FileError::Content {
        path: path.to_owned(),
        // Without the file's text around it: who reads a log need not know that.
        message: error
            .without_snippet()
            .render_with_formatter(&UserMessageFormatter),
    })
}

fn parse(text: &str) -> Result<(Settings, HashMap<String, u64>), serde_saphyr::Error> {
    // `"yes"` is a text.
    let options = serde_saphyr::options! { strict_booleans: true };
    // An empty file says nothing, which is allowed.
    let settings: Option<Settings> = serde_saphyr::from_str_with_options(text, options)?;
    #[expect(
        clippy::zero_sized_map_values,
        reason = "a mapping is read into no set"
    )]
    let keys: Option<HashMap<Spanned<String>, IgnoredAny>> = serde_saphyr::from_str(text)?;
    let lines = keys.unwrap_or_default().into_keys();
    let lines = lines.map(|key| (key.value, key.referenced.line()));
    Ok((settings.unwrap_or_default(), lines.collect()))
}
