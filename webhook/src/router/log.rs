//! The line that each request leaves in the log.

use std::sync::LazyLock;

use highway::{HighwayHash as _, HighwayHasher, Key};
use ring::rand::{self, SystemRandom};

use super::Ended;
use crate::Token;

/// The most characters of a text that somebody else wrote.
const LONGEST: usize = 256;

/// Writes it, at level INFO.
///
/// Texts are fields, not parts of a message: the log's format escapes what they may have in them,
/// so that no user's name can look like another line.
pub(super) fn write(request: &Ended<'_>) {
    tracing::info!(
        target: "tokenlab_webhook::router",
        outcome = request.outcome.as_str(),
        code = request.code.map(|code| code.as_u16()),
        latency_us = u64::try_from(request.duration.as_micros()).unwrap_or(u64::MAX),
        api_version = request.review.map(|review| review.api_version.as_str()),
        token = request.review.map(|review| hashed(&review.token)),
        caller = (request.review)
            .and_then(|review| review.caller.as_ref()?.common_name.as_deref())
            .map(start),
        user = request.user.map(|user| start(&user.username)),
        reason = request.reason.map(start),
        "review"
    );
}

/// Tells tokens apart within one run of the program, and is of use for nothing else: 48 bits of a
/// hash under a key that is drawn at random and nowhere written.
///
/// `HighwayHash`, not the HMAC by which tokens are compared and stored: it is meant as a
/// pseudo-random function as well, so nobody without the key can test a guessed token against a
/// line, and a collision, found or not, makes two lines look alike and lets nobody in. SHA-256 over a
/// token of 8 KiB costs a fifth of the whole review, `SipHash` an eighth, this a thirtieth.
fn hashed(token: &Token) -> String {
    static KEY: LazyLock<Key> = LazyLock::new(|| {
        Key([(); 4].map(|()| {
            let drawn = rand::generate(&SystemRandom::new());
            u64::from_ne_bytes(drawn.expect("the system must have random numbers").expose())
        }))
    });
    let hash = HighwayHasher::new(*KEY).hash64(token.expose().as_bytes());
    let digits = |octet: &u8| [octet >> 4, octet & 15].map(|digit| HEX[usize::from(digit)]);
    hash.to_be_bytes()[..6].iter().flat_map(digits).collect()
}

const HEX: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

fn start(text: &str) -> &str {
    let end = text.char_indices().nth(LONGEST);
    end.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_apart() {
        let [one, same, other] = ["canary", "canary", "canard"].map(|text| hashed(&text.into()));
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert_eq!(one.len(), 12);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(start("é".repeat(300).as_str()), "é".repeat(256));
        assert_eq!(start("ann"), "ann");
    }
}
