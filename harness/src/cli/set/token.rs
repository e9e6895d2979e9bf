//! A token that a command is given: as an argument, or in a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use anyhow::Context as _;
use camino::Utf8PathBuf;
use clap::builder::NonEmptyStringValueParser;
use tokenlab_webhook::{BODY_LIMIT, Token};

/// One of both.
#[derive(clap::Args)]
#[group(id = "the-token", multiple = false)]
pub(in crate::cli) struct TokenArgs {
    /// The token
    #[arg(value_name = "TOKEN", requires = "answer",
        value_parser = NonEmptyStringValueParser::new())]
    token: Option<String>,

    /// The file that has the token; `-` is the standard input
    #[arg(long, value_name = "FILE", requires = "answer")]
    token_file: Option<Utf8PathBuf>,
}

impl TokenArgs {
    /// The token, without the line's end that an editor leaves in a file.
    pub(in crate::cli) fn read(self) -> anyhow::Result<Token> {
        let text = match (self.token, self.token_file) {
            (Some(token), _) => return Ok(Token::from(token)),
            (None, Some(path)) => {
                let read = if path == "-" {
                    read(io::stdin().lock())
                } else {
                    File::open(&path).and_then(read)
                };
                let text = read.with_context(|| format!("no token could be read from `{path}`"))?;
                let token = text.trim_end_matches(['\r', '\n']);
                anyhow::ensure!(!token.is_empty(), "no token is in `{path}`");
                token.to_owned()
            }
            (None, None) => anyhow::bail!("no token was given"),
        };
        Ok(Token::from(text))
    }
}

/// No more than any webhook would take: a device may have no end.
fn read(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX);
    if from.take(limit + 1).read_to_string(&mut text)? > BODY_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {BODY_LIMIT} octets"),
        ));
    }
    Ok(text)
}

impl fmt::Debug for TokenArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenArgs").finish_non_exhaustive()
    }
}
