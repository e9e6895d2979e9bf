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
    pub const WHAT: &'static str = "token_file";

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
            match file.len() {
                0 => tracing::warn!("no token is in the token file any more: all are refused"),
                tokens => tracing::info!(tokens, "the tokens of the token file are other ones"),
            }
            Ok::<_, TokenFileError>(())
        };
        watched.reload(Self::WHAT, take, report).await;
    }
}

/// The entries by their digest's keyed hash.
fn entries(path: &Path, content: &[u8], hash: &KeyedHash) -> Result<Entries, TokenFileError> {
    let path = || path.to_owned();
    let text = str::from_utf8(content).map_err(|_| TokenFileError::Text { path: path() })?;
    // What editors of Windows begin a file with.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::User;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn lines() {
        let (_, entry) = Entry::generate(User::new("ann"));
        let text =
            format!("# mine\n\n  {entry}  \r\n{{\"sha256\":\"{HASH}\",\"username\":\"bob\"}}");
        let entries = parse(&text).expect("entries");
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0], entry);
        assert_eq!(entries[1], Entry::new(&"test".into(), User::new("bob")));
        assert_eq!(parse("").expect("none"), []);
    }

    #[test]
    fn an_editor_may_mark_the_file_as_utf8() {
        let content = format!("\u{feff}{{\"sha256\":\"{HASH}\",\"username\":\"ann\"}}");
        let entries = entries(Path::new("t"), content.as_bytes(), &KeyedHash::new());
        assert_eq!(entries.expect("entries").len(), 1);
    }

    #[rstest]
    #[case::other_format("secret,ann,7", "column 1: expected value")]
    #[case::no_hash(r#"{"username":"ann"}"#, "column 18: missing field `sha256`")]
    #[case::typo(
        r#"{"user":"ann"}"#,
        "column 7: unknown field `user`, expected one of `sha256`, `username`, `uid`, `groups`, `extra`, `audiences`, `expires`"
    )]
    #[case::token(
        r#"{"sha256":"secret","username":"ann"}"#,
        "column 18: `sha256` is not 64 hexadecimal digits"
    )]
    #[case::multibyte(
        r#"{"sha256":"secrät","username":"ann"}"#,
        "column 19: `sha256` is not 64 hexadecimal digits"
    )]
    #[case::date(
        r#"{"expires":"tomorrow"}"#,
        "column 21: the 'year' component could not be parsed"
    )]
    #[case::rest(
        r#"{"sha256":"HASH","username":"ann"} x"#,
        "column 96: trailing characters"
    )]
    #[case::nobody(r#"{"sha256":"HASH","username":""}"#, "`username` is empty")]
    #[case::duplicate(
        "{\"sha256\":\"HASH\",\"username\":\"bob\"}",
        "the same token as in line 2"
    )]
    fn a_wrong_line_is_named(#[case] line: &str, #[case] expected: &str) {
        let text = format!("# mine\n{{\"sha256\":\"HASH\",\"username\":\"ann\"}}\n{line}");
        let (line, error) = parse(&text.replace("HASH", HASH)).expect_err("wrong");
        assert_eq!((line, &*error.to_string()), (3, expected));
    }

    #[test]
    fn a_token_ends_when_its_time_comes() {
        let (_, entry) = Entry::generate(User::new("ann"));
        let end = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time");
        assert!(entry.is_valid_at(end));
        let entry = entry.with_expires(end);
        assert!(entry.is_valid_at(end - time::Duration::SECOND));
        assert!(!entry.is_valid_at(end));
        let line = entry.to_string();
        assert!(
            line.contains(r#""expires":"2027-01-15T08:00:00Z""#),
            "{line}"
        );
        assert_eq!(line.parse::<Entry>().expect("an entry"), entry);
    }

    #[test]
    fn each_token_is_another_and_is_not_in_its_entry() {
        let (one, entry) =
            Entry::generate(User::new("ann").with_extra("example.org/team", ["red"]));
        let (other, _) = Entry::generate(User::new("ann"));
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), "tokenlab_".len() + 43);
        let printed = format!("{entry} {entry:?}");
        assert!(!printed.contains(one.expose()), "{printed}");
        assert_eq!(Entry::new(&one, entry.user.clone()), entry);
    }
}
