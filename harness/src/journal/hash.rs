//! Tokens told apart without being told.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokenlab_webhook::Token;

use crate::digest::hexadecimal;

/// A token's name in a journal: 12 hexadecimal digits. Another lab's journal calls it otherwise,
/// and a guessed token cannot be compared with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

impl TokenHash {
    /// A hash that another program of ours wrote; none where it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|digit| digit.is_ascii_hexdigit());
        (text.len() == 12 && digits).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What makes one lab's hashes its own: 32 random octets that leave no memory but this.
pub(super) struct HashKey([u8; 32]);

impl HashKey {
    pub(super) fn draw() -> Self {
        let mut key = [0; 32];
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut key)
            .expect("the system's random numbers must be to be had");
        Self(key)
    }

    /// SHA-256 of key and token, cut to 48 bits. The key has one length and most of the digest
    /// stays untold, so that HMAC would add nothing.
    pub(super) fn hash(&self, token: &Token) -> TokenHash {
        let mut digest = Sha256::new();
        digest.update(self.0);
        digest.update(token.expose());
        TokenHash(hexadecimal(&digest.finalize()[..6]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_hash_in_a_lab_and_another_elsewhere() {
        let (key, other) = (HashKey::draw(), HashKey::draw());
        let token = Token::from("canary");
        assert_eq!(key.hash(&token), key.hash(&Token::from("canary")));
        assert_ne!(key.hash(&token), key.hash(&Token::from("other")));
        assert_ne!(key.hash(&token), other.hash(&token));
        let text = key.hash(&token).to_string();
        assert_eq!(text.len(), 12, "{text}");
        assert!(text.chars().all(|c| c.is_ascii_hexdigit()), "{text}");
    }
}
