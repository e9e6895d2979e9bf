//! What somebody else's webhook is told of port and certificate, and how: by placeholders in its
//! command line, and by its environment.

use std::fmt;
use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// Where a webhook that is started by a lab shall listen, and with what.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    /// The address to listen on.
    pub(crate) host: &'static str,
    /// The port.
    pub(crate) port: u16,
    /// The folder of `tls.crt` and `tls.key`.
    pub(crate) folder: Utf8PathBuf,
}

/// The certificate's file in the folder, named as in a Secret of type `kubernetes.io/tls`.
pub(crate) const CERTIFICATE: &str = "tls.crt";
/// Its key's.
pub(crate) const KEY: &str = "tls.key";

/// The port's variable.
pub(super) const PORT_VARIABLE: &str = "TOKENLAB_WEBHOOK_PORT";

/// A command line in words, split as a shell does it. No shell runs it: `$`, `*`, `|` and `&&` mean
/// nothing.
///
/// `{port}`, `{address}` (host and port), `{cert}`, `{key}` and `{dir}` (the folder of both) are
/// replaced in each word when it is run; another lower-case word in braces is refused, unless `$` or `%`
/// stands before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words(Vec<String>);

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It cannot be split.
    #[error("a quotation mark in it is not closed")]
    Quotes,
    /// Something in it looks like a placeholder and is none.
    #[error("`{{{0}}}` in it is none of {placeholders}", placeholders = placeholders())]
    Placeholder(String),
}

/// The names of the placeholders.
const NAMES: [&str; 5] = ["port", "address", "cert", "key", "dir"];

fn placeholders() -> String {
    NAMES.map(|name| format!("`{{{name}}}`")).join(", ")
}

/// The first lower-case word in braces that is no placeholder: a slip, most likely, and whatever is
/// run could not tell. What stands behind `$` or `%` is meant for somebody else.
fn misspelt(word: &str) -> Option<&str> {
    for (at, _) in word.match_indices('{') {
        let rest = &word[at + 1..];
        let Some((name, _)) = rest.split_once('}') else {
            break;
        };
        let before = &word[..at];
        let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        if is_word && !before.ends_with(['$', '%']) && !NAMES.contains(&name) {
            return Some(name);
        }
    }
    None
}

impl FromStr for Words {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        let words = shlex::split(text).ok_or(WordsError::Quotes)?;
        if words.first().is_none_or(String::is_empty) {
            return Err(WordsError::Empty);
        }
        match words.iter().find_map(|word| misspelt(word)) {
            Some(name) => Err(WordsError::Placeholder(name.to_owned())),
            None => Ok(Self(words)),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(String::as_str);
        f.write_str(&crate::process::command_line([], words))
    }
}

impl Words {
    /// The words with their placeholders replaced.
    pub(crate) fn told(&self, contract: &Contract) -> Vec<String> {
        let values = contract.values();
        let told = |word: &String| {
            values.iter().fold(word.clone(), |word, (name, _, value)| {
                word.replace(&format!("{{{name}}}"), value)
            })
        };
        self.0.iter().map(told).collect()
    }
}

impl Contract {
    /// Each value, by its placeholder and its variable.
    fn values(&self) -> [(&'static str, &'static str, String); 5] {
        let file = |name| Utf8Path::new(&self.folder).join(name).into_string();
        let (host, port) = (self.host, self.port);
        [
            ("port", PORT_VARIABLE, port.to_string()),
            (
                "address",
                "TOKENLAB_WEBHOOK_ADDRESS",
                format!("{host}:{port}"),
            ),
            ("cert", "TOKENLAB_WEBHOOK_TLS_CERT_FILE", file(CERTIFICATE)),
            ("key", "TOKENLAB_WEBHOOK_TLS_KEY_FILE", file(KEY)),
            ("dir", "TOKENLAB_WEBHOOK_DIR", self.folder.to_string()),
        ]
    }

    /// The same as variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        (self.values().into_iter()).map(|(_, variable, value)| (variable.to_owned(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> Contract {
        Contract {
            host: "127.0.0.1",
            port: 8443,
            folder: "/run/a lab".into(),
        }
    }

    #[test]
    fn placeholders_are_replaced_within_words_and_never_split_them() {
        let words: Words =
            "'my webhook' --listen={address} {port}{port} --tls '{cert}' {key} {dir} '{\"a\": {}}'"
                .parse()
                .expect("is one");
        assert_eq!(
            words.told(&contract()),
            [
                "my webhook",
                "--listen=127.0.0.1:8443",
                "84438443",
                "--tls",
                "/run/a lab/tls.crt",
                "/run/a lab/tls.key",
                "/run/a lab",
                "{\"a\": {}}",
            ]
        );
        let variables: Vec<_> = contract().variables().collect();
        let port = ("TOKENLAB_WEBHOOK_PORT".to_owned(), "8443".to_owned());
        assert!(variables.contains(&port), "{variables:?}");
    }

    #[test]
    fn a_misspelt_placeholder_is_refused() {
        let error = "a --listen={adress}:{port}".parse::<Words>();
        let said = "`{adress}` in it is none of `{port}`, `{address}`, `{cert}`, `{key}`, `{dir}`";
        assert_eq!(error.expect_err("must be refused").to_string(), said);
        for fine in [
            "sh -c 'echo ${home} {a: {}} { x; } {PORT} {}'",
            "date +%{s}",
            "a {",
        ] {
            fine.parse::<Words>().expect(fine);
        }
        let names = contract().values().map(|(name, ..)| name);
        assert_eq!(names, NAMES);
    }

    #[test]
    fn no_command_line() {
        assert_eq!("".parse::<Words>(), Err(WordsError::Empty));
        assert_eq!("'' x".parse::<Words>(), Err(WordsError::Empty));
        assert_eq!("a 'b".parse::<Words>(), Err(WordsError::Quotes));
    }
}
