//! A bearer token that does not print.

use std::fmt;

/// What a user presented, as the apiserver passes it on: whatever followed `Bearer ` in the
/// request, up to 1 MiB and never checked (`apiserver/pkg/authentication/request/bearertoken`,
/// v0.37.2). A service account's expired token comes here too.
///
/// Neither `Debug` nor anything else shows it; [`Token::expose`] is the one way to the text.
/// `==` takes as long as the equal part is: compare hashes where an attacker can measure that.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

impl Token {
    /// The token's text. Put it into no log, no error and no command line.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_it() {
        let token = Token::from("canary");
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        assert_eq!(format!("{token:#?}"), "Token(redacted)");
        assert_eq!(token.expose(), "canary");
    }
}
