//! What was found at each place that was looked at.

use std::error::Error;
use std::fmt;

use semver::Version;
use serde::Serialize;

use super::Source;

/// A place that was looked at, and what it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// Which of the sources it is.
    pub source: Source,
    /// Its path, address or program, as far as known.
    pub at: String,
    /// What came of it.
    pub state: State,
    /// The versions that it has.
    pub versions: Vec<Version>,
    /// What is to be said about it: why it was not taken, or what is broken.
    pub reason: Option<String>,
    /// What would make it usable.
    pub hint: Option<String>,
}

/// What came of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The programs are taken from here.
    Taken,
    /// It could serve, but one before it does.
    Usable,
    /// Nobody set it.
    Unset,
    /// It has not what was asked for.
    Lacks,
    /// It was not asked: that takes the network.
    NotAsked,
    /// It is broken, or failed.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Taken => "taken",
            Self::Usable => "usable",
            Self::Unset => "not set",
            Self::Lacks => "lacks it",
            Self::NotAsked => "not asked",
            Self::Failed => "failed",
        })
    }
}

impl Place {
    pub(super) fn new(source: Source, at: impl Into<String>, state: State) -> Self {
        Self {
            source,
            at: at.into(),
            state,
            versions: Vec::new(),
            reason: None,
            hint: None,
        }
    }

    pub(super) fn failed(
        source: Source,
        at: impl Into<String>,
        error: &dyn Error,
        hint: Option<String>,
    ) -> Self {
        Self {
            reason: Some(chain(error)),
            hint,
            ..Self::new(source, at, State::Failed)
        }
    }

    #[must_use]
    pub(super) fn versions(mut self, versions: impl IntoIterator<Item = Version>) -> Self {
        self.versions = versions.into_iter().collect();
        self
    }

    #[must_use]
    pub(super) fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The versions as a list: `1.36.1, 1.36.3`, or a dash.
    pub fn versions_text(&self) -> String {
        match self.versions.as_slice() {
            [] => "-".to_owned(),
            versions => versions
                .iter()
                .map(Version::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

/// `source (where): what it had`, for an error that lists all places.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if !self.at.is_empty() {
            write!(f, " ({})", self.at)?;
        }
        match (&self.reason, self.versions.is_empty()) {
            (Some(reason), _) => write!(f, ": {reason}"),
            (None, true) => write!(f, ": {}", self.state),
            (None, false) => write!(f, ": has {}", self.versions_text()),
        }
    }
}

/// An error with its sources, each after a colon.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
