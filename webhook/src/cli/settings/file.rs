//! The configuration file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;

use super::Settings;
use super::yaml::{Node, YamlError};

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
pub(crate) fn read(path: &Path) -> Result<(Settings, HashMap<String, usize>), FileError> {
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|error| FileError::Content {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

fn parse(text: &str) -> Result<(Settings, HashMap<String, usize>), YamlError> {
    // An empty file says nothing, which is allowed.
    let Some(node) = Node::parse(text)? else {
        return Ok(Default::default());
    };
    let settings = Option::<Settings>::deserialize(&node)?;
    let lines = node.keys().map(|(key, line)| (key.to_owned(), line));
    Ok((settings.unwrap_or_default(), lines.collect()))
}
