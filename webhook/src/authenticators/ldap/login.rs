//! A user and a password in a token.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::Token;

/// The most octets of a token that is looked at: as much as some proxies allow a header.
const LONGEST: usize = 8 * 1024;

/// With or without `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a directory is asked about. It is not wiped from memory: `ldap3` copies what it sends, and
/// the token that all of it was decoded from is there as well.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

impl Login {
    /// What `printf %s USER:PASSWORD | base64` has made of both; everything behind the first colon
    /// is the password. None if it is something else, or can be nobody's.
    ///
    /// No password is nobody's: a directory takes a name without one for an anonymous user, and
    /// says yes (RFC 4513, 5.1.2, "unauthenticated authentication"). A NUL could end it early.
    pub(super) fn of(token: &Token) -> Option<Self> {
        let token = token.expose();
        if token.len() > LONGEST {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        let usable = !username.is_empty()
            && !username.contains(char::is_control)
            && !password.is_empty()
            && !password.contains('\0');
        usable.then(|| Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    // The tutorial's.
    #[case("ZGVtby11c2VyOmRlbW8tcGFzc3dvcmQ=", "demo-user", "demo-password")]
    #[case::unpadded("ZGVtby11c2VyOmRlbW8tcGFzc3dvcmQ", "demo-user", "demo-password")]
    #[case::colons("YTo6Yjo=", "a", ":b:")]
    fn logins(#[case] token: &str, #[case] username: &str, #[case] password: &str) {
        let login = Login::of(&Token::from(token)).expect("a login");
        assert_eq!((&*login.username, &*login.password), (username, password));
    }

    #[rstest]
    #[case::not_base64("demo-user:demo-password")]
    #[case::json_web_token("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")]
    #[case::no_colon("ZGVtby1wYXNzd29yZA==")]
    #[case::empty("")]
    #[case::no_password("ZGVtby11c2VyOg==")]
    #[case::no_username("OmRlbW8tcGFzc3dvcmQ=")]
    #[case::nul_in_password("YToAYg==")]
    #[case::line_end_in_username("YQo6Yg==")]
    #[case::not_utf_8("/zph")]
    fn nobodys(#[case] token: &str) {
        assert!(Login::of(&Token::from(token)).is_none());
    }

    #[test]
    fn a_long_one_is_not_looked_at() {
        let token = |length| Token::from(BASE64.encode(format!("a:{}", "b".repeat(length - 2))));
        assert!(Login::of(&token(LONGEST / 4 * 3)).is_some());
        assert!(Login::of(&token(LONGEST / 4 * 3 + 1)).is_none());
    }
}
