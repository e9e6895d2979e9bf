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
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fmt, fs, io};

use time::OffsetDateTime;

pub use entry::{Entry, EntryError};

use crate::keyed_hash::{Digest, KeyedHash};
use crate::{Authenticator, Decision, Review};

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// It cannot be read, or is not UTF-8.
    #[error("cannot read token file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
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
/// use tokenlab_webhook::authenticators::TokenFile;
///
/// let tokens = TokenFile::load("tokens.jsonl")?;
/// let router = tokenlab_webhook::router(tokens.clone());
/// // Later, when the file has changed:
/// if let Err(error) = tokens.reload() {
///     eprintln!("the tokens are as they were: {error}");
/// }
/// # let _: axum::Router = router;
/// # Ok::<(), tokenlab_webhook::authenticators::token_file::TokenFileError>(())
/// ```
#[derive(Clone)]
pub struct TokenFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    hash: KeyedHash,
    entries: RwLock<Arc<Entries>>,
}

type Entries = HashMap<Digest, Entry>;

impl TokenFile {
    /// Reads the file.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, TokenFileError> {
        let (path, hash) = (path.into(), KeyedHash::new());
        let entries = RwLock::new(Arc::new(read(&path, &hash)?));
        Ok(Self(Arc::new(Inner {
            path,
            hash,
            entries,
        })))
    }

    /// Reads the file again. Reviews that come later are decided by what it says now, or by what
    /// it said before if it cannot be used.
    pub fn reload(&self) -> Result<(), TokenFileError> {
        let entries = Arc::new(read(&self.0.path, &self.0.hash)?);
        let current = self.0.entries.write();
        *current.unwrap_or_else(PoisonError::into_inner) = entries;
        Ok(())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0.path
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
        f.debug_struct("TokenFile")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

/// The entries by their digest's keyed hash.
fn read(path: &Path, hash: &KeyedHash) -> Result<Entries, TokenFileError> {
    let text = fs::read_to_string(path).map_err(|source| TokenFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let entries = parse(&text).map_err(|(line, source)| TokenFileError::Line {
        path: path.to_owned(),
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
