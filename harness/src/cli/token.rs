//! Tokens that a command is given, by its command line or by a file.

use std::fs::File;
use std::io::{self, Read};

use anyhow::Context as _;
use camino::Utf8Path;
use tokenlab_webhook::{BODY_LIMIT, Token};

/// On the command line, where other users of this machine may see it.
pub(super) fn parse(text: &str) -> Result<Token, &'static str> {
    match text {
        "" => Err("it is empty"),
        "-" => Err("the standard input is read by `--token-file -`"),
        text => Ok(Token::from(text)),
    }
}

/// The same, where the option for a file has another name.
pub(super) fn parse_as(text: &str) -> Result<Token, &'static str> {
    match text {
        "-" => Err("the standard input is read by `--as-token-file -`"),
        text if !is_sendable(text) => Err("no `Authorization: Bearer` header can carry it"),
        text => parse(text),
    }
}

/// From a file, or for `-` from the standard input; the end of its last line is none of it.
pub(super) fn read(path: &Utf8Path) -> anyhow::Result<Token> {
    let read = if path == "-" {
        bounded(std::io::stdin().lock())
    } else {
        File::open(path).and_then(bounded)
    };
    let text = read.with_context(|| format!("no token could be read from `{path}`"))?;
    let token = text.strip_suffix('\n').unwrap_or(&text);
    let token = token.strip_suffix('\r').unwrap_or(token);
    anyhow::ensure!(!token.is_empty(), "there is no token in `{path}`");
    sendable(Token::from(token))
}

/// The token, if a request to an apiserver can carry it.
pub(super) fn sendable(token: Token) -> anyhow::Result<Token> {
    anyhow::ensure!(!token.expose().is_empty(), "the token is empty");
    anyhow::ensure!(
        is_sendable(token.expose()),
        "the token has a character in it that no `Authorization: Bearer` header can carry"
    );
    Ok(token)
}

/// An apiserver cuts a token at a blank.
fn is_sendable(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// No more than any webhook would take: a device may have no end.
fn bounded(from: impl Read) -> io::Result<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_the_end_of_its_line() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let file = folder.join("token");
        for text in ["a", "a\n", "a\r\n"] {
            std::fs::write(&file, text).expect("must be written");
            assert_eq!(read(&file).expect("must be read").expose(), "a");
        }
        for text in ["a b", "a\n\n", "\u{e4}"] {
            std::fs::write(&file, text).expect("must be written");
            let error = read(&file).expect_err("must fail").to_string();
            assert!(
                error.contains("no `Authorization: Bearer` header"),
                "{error}"
            );
        }
        std::fs::write(&file, "\n").expect("must be written");
        let error = read(&file).expect_err("must fail");
        assert_eq!(error.to_string(), format!("there is no token in `{file}`"));
        let error = read(&folder.join("none")).expect_err("must fail");
        let text = format!("no token could be read from `{folder}/none`");
        assert_eq!(error.to_string(), text);
        let error = read(Utf8Path::new("/dev/zero")).expect_err("must fail");
        let text = "no token could be read from `/dev/zero`: it is larger than 1048576 octets";
        assert_eq!(format!("{error:#}"), text);
    }
}
