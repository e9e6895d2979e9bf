//! Hashes that are of use to nobody but this process.

use std::fmt;

use ring::hmac;
use ring::rand::SystemRandom;

/// HMAC-SHA-256 under a key that is drawn at the start and never leaves: what it gives can be
/// compared and stored here, and neither foreseen nor searched by anybody else. Cloning shares the
/// key.
#[derive(Clone)]
pub(crate) struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// Draws a key.
    pub(crate) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system must have random numbers"))
    }

    /// The hash of all parts, each with its length: no two lists of parts are one text.
    pub(crate) fn of<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let tag = context.sign();
        tag.as_ref()
            .try_into()
            .expect("SHA-256 must have 32 octets")
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyedHash").finish_non_exhaustive()
    }
}

/// What SHA-256 gives.
pub(crate) type Digest = [u8; 32];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_keys_matter() {
        let (one, other) = (KeyedHash::new(), KeyedHash::new());
        let hash = |hash: &KeyedHash, parts: &[&str]| {
            hash.clone().of(parts.iter().map(|part| part.as_bytes()))
        };
        assert_eq!(hash(&one, &["a", "b"]), hash(&one, &["a", "b"]));
        assert_ne!(hash(&one, &["a", "b"]), hash(&one, &["ab"]));
        assert_ne!(hash(&one, &["a"]), hash(&one, &["a", ""]));
        assert_ne!(hash(&one, &["a"]), hash(&other, &["a"]));
    }
}
