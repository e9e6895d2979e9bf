//! One token of a token file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest as hash};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::keyed_hash::Digest;
use crate::{Token, User, hex};

/// What a token begins with: secret scanners, and people, know by it what they found.
const PREFIX: &str = "tokenlab_";

/// Why a line is no entry. Says nothing of the digest that is there: it may be a token that was
/// written in its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Not the JSON of an entry.
    #[error("column {column}: {problem}")]
    Json {
        /// Where, in octets from 1.
        column: usize,
        /// What, in the words of the parser.
        problem: String,
    },
    /// No name, and so nobody.
    #[error("`username` is empty")]
    Nobody,
    /// The same token as in a line before.
    #[error("the same token as in line {first}")]
    Twice {
        /// That line.
        first: usize,
    },
}

/// One token: its hash, whose it is, and until when. `Display` and `FromStr` are a line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The SHA-256 of the token; in the file, 64 hexadecimal digits.
    pub sha256: [u8; 32],
    /// Whose it is: `username`, `uid`, `groups` and `extra` in the file, of which all but the
    /// first may be left out.
    pub user: User,
    /// Whom it is meant for, as [`Decision::Authenticated`](crate::Decision) has it. Empty by
    /// default: for everybody.
    pub audiences: Vec<String>,
    /// From when on it is refused. None by default: never. In the file as RFC 3339 has it.
    pub expires: Option<OffsetDateTime>,
}

impl Entry {
    /// Makes a token of 256 random bits, and its entry. Nobody else has the token.
    pub fn generate(user: User) -> (Token, Self) {
        let mut bits = [0; 32];
        SystemRandom::new()
            .fill(&mut bits)
            .expect("the system must have random numbers");
        let token = Token::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits)));
        let entry = Self::new(&token, user);
        (token, entry)
    }

    /// The entry of a token that was made elsewhere, of 128 random bits or more: whoever reads the
    /// file can try the others.
    pub fn new(token: &Token, user: User) -> Self {
        Self {
            sha256: digest(token),
            user,
            audiences: Vec::new(),
            expires: None,
        }
    }

    /// The same entry for these audiences as well.
    #[must_use]
    pub fn with_audiences<A: Into<String>>(
        mut self,
        audiences: impl IntoIterator<Item = A>,
    ) -> Self {
        self.audiences.extend(audiences.into_iter().map(Into::into));
        self
    }

    /// The same entry, refused from then on.
    #[must_use]
    pub fn with_expires(mut self, expires: OffsetDateTime) -> Self {
        self.expires = Some(expires);
        self
    }

    pub(super) fn is_valid_at(&self, now: OffsetDateTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

pub(super) fn digest(token: &Token) -> Digest {
    let digest = hash(&SHA256, token.expose().as_bytes());
    let digest = digest.as_ref().try_into();
    digest.expect("SHA-256 must have 32 octets")
}

impl FromStr for Entry {
    type Err = EntryError;

    fn from_str(line: &str) -> Result<Self, EntryError> {
        let line: Line = serde_json::from_str(line).map_err(|error| {
            let (row, column) = (error.line(), error.column());
            let problem = error.to_string();
            let place = format!(" at line {row} column {column}");
            let problem = problem.strip_suffix(&place).unwrap_or(&problem).to_owned();
            EntryError::Json { column, problem }
        })?;
        if line.username.is_empty() {
            return Err(EntryError::Nobody);
        }
        Ok(Self {
            sha256: line.sha256.0,
            user: User {
                username: line.username,
                uid: line.uid,
                groups: line.groups,
                extra: line.extra,
            },
            audiences: line.audiences,
            expires: line.expires,
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.clone();
        let line = Line {
            sha256: Hex(self.sha256),
            username: user.username,
            uid: user.uid,
            groups: user.groups,
            extra: user.extra,
            audiences: self.audiences.clone(),
            expires: self.expires,
        };
        f.write_str(&serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sha256: Hex,
    username: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    audiences: Vec<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    expires: Option<OffsetDateTime>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex([u8; 32]);

#[derive(Debug, thiserror::Error)]
#[error("`sha256` is not 64 hexadecimal digits")]
struct NotHex;

impl TryFrom<String> for Hex {
    type Error = NotHex;

    fn try_from(text: String) -> Result<Self, NotHex> {
        let digits = text.as_bytes().as_chunks::<2>();
        let mut octets = [0; 32];
        if digits.0.len() != octets.len() || !digits.1.is_empty() {
            return Err(NotHex);
        }
        for (octet, pair) in octets.iter_mut().zip(digits.0) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            let value = high.zip(low).map(|(high, low)| high * 16 + low);
            *octet = value
                .and_then(|value| value.try_into().ok())
                .ok_or(NotHex)?;
        }
        Ok(Self(octets))
    }
}

impl From<Hex> for String {
    fn from(Hex(octets): Hex) -> Self {
        hex::encode(&octets)
    }
}
