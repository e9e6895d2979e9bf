//! Tokens from a file that holds only their hashes.
//!
//! The file has one token a line, as a JSON object; blank lines and those that begin with `#` are
//! skipped. [`Entry`] is such a line, `tokenlab-webhook token` makes one:
//!
//! ```text
//! # whose these are is written here, the tokens are not
//! {"sha256":"9f86d081…","username":"ann","groups":["dev"],"expires":"2027-01-31T00:00:00Z"}
//! ```
//!
//! # Why SHA-256 and not a password hash
//!
//! Tokens are made here, of 256 random bits. Nobody can search those, so that a slow hash would
//! add nothing but work for everybody who floods the webhook with made-up tokens. For a secret
//! that a person chose it would be needed: such a one does not belong into the file.

mod entry;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use time::OffsetDateTime;

pub use entry::{Entry, EntryError};

use crate::keyed_hash::{Digest, KeyedHash};
use crate::reload::{ReadError, ReloadEvent, Watched};
use crate::{Authenticator, Decision, Review};

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("cannot use the token file")]
    Read(#[from] ReadError),
    /// It is binary.
    #[error("token file `{}` is not UTF-8", path.display())]
    Text {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    #[error("token file `{}`, line {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        source: EntryError,
    },
}

/// Knows the tokens of a file. Cloning shares it.
///
/// Every token costs the same work, known or not: it is hashed, the hash is hashed again under a
/// key that was drawn at the start, and looked up. So the time that this takes tells nothing of
/// how near a guess came to a token of the file.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tokenlab_webhook::authenticators::TokenFile;
///
/// let (tokens, reload) = TokenFile::load("tokens.jsonl")?;
/// tokio::spawn(reload.run(|event| println!("{}: {:?}", event.what, event.outcome)));
/// let router = tokenlab_webhook::router(tokens);
/// # let _: axum::Router = router;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenFile(Arc<Inner>);

struct Inner {
    hash: KeyedHash,
    entries: RwLock<Arc<Entries>>,
}

type Entries = HashMap<Digest, Entry>;

impl TokenFile {
    /// Reads the file: what knows its tokens, and what keeps that up to date when it is run.
    pub fn load(path: impl Into<PathBuf>) -> Result<(Self, TokenReload), TokenFileError> {
        let path = path.into();
        let (watched, contents) = Watched::open(vec![path.clone()])?;
        let hash = KeyedHash::new();
        let entries = RwLock::new(Arc::new(entries(&path, &contents[0], &hash)?));
        let file = Self(Arc::new(Inner { hash, entries }));
        let reload = TokenReload {
            file: file.clone(),
            path,
            watched,
        };
        Ok((file, reload))
    }

    /// How many tokens it knows, expired ones too.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether it knows none, and refuses all.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    fn entries(&self) -> Arc<Entries> {
        let entries = self.0.entries.read();
        Arc::clone(&entries.unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, entries: Entries) {
        let current = self.0.entries.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
    }
}

impl Authenticator for TokenFile {
    async fn authenticate(&self, review: &Review) -> Decision {
        let digest = self.0.hash.of([entry::digest(&review.token).as_slice()]);
        match self.entries().get(&digest) {
            Some(entry) if entry.is_valid_at(OffsetDateTime::now_utc()) => {
                Decision::Authenticated {
                    user: entry.user.clone(),
                    audiences: entry.audiences.clone(),
                }
            }
            _ => Decision::Refused,
        }
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").finish_non_exhaustive()
    }
}

/// Takes what changes in a token file.
#[derive(Debug)]
pub struct TokenReload {
    file: TokenFile,
    path: PathBuf,
    watched: Watched,
}

impl TokenReload {
    /// What is reloaded, in its [`ReloadEvent`]s.
    pub const WHAT: &'static str = "token file";

    /// As [`Watched::with_interval`].
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.watched = self.watched.with_interval(interval);
        self
    }

    /// Reads the file each time it changes, and tells `report` what became of it. Of one with a
    /// line that is wrong nothing is taken. Never ends: spawn it, or drop it.
    pub async fn run(self, report: impl Fn(ReloadEvent)) {
        let Self {
            file,
            path,
            watched,
        } = self;
        let take = |contents: Vec<Vec<u8>>| {
            file.replace(entries(&path, &contents[0], &file.0.hash)?);
            Ok::<_, TokenFileError>(())
        };
        watched.reload(Self::WHAT, take, report).await;
    }
}

/// The entries by their digest's keyed hash.
fn entries(path: &Path, content: &[u8], hash: &KeyedHash) -> Result<Entries, TokenFileError> {
    let path = || path.to_owned();
    let text = str::from_utf8(content).map_err(|_| TokenFileError::Text { path: path() })?;
    let entries = parse(text).map_err(|(line, source)| TokenFileError::Line {
        path: path(),
        line,
        source,
    })?;
    let keyed = |entry: Entry| (hash.of([entry.sha256.as_slice()]), entry);
    Ok(entries.into_iter().map(keyed).collect())
}

/// The entries of a whole file, or the number of the line that is wrong.
fn parse(text: &str) -> Result<Vec<Entry>, (usize, EntryError)> {
    let mut lines = HashMap::new();
    let mut entries = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let entry: Entry = content.parse().map_err(|error| (line, error))?;
        if let Some(first) = lines.insert(entry.sha256, line) {
            return Err((line, EntryError::Twice { first }));
        }
        entries.push(entry);
    }
    Ok(entries)
}
