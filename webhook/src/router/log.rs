//! The line that each request leaves in the log.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use highway::{HighwayHash as _, HighwayHasher, Key};
use ring::rand::{self, SystemRandom};

use super::Ended;
use crate::{Token, hex};

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
/// hash under keys that are drawn at random and nowhere written.
///
/// In two steps. `HighwayHash` makes a token short at a quarter of what `SipHash` takes for it, an eighth
/// of a review with a token of 8 KiB; but it is less studied. `SipHash` of that is what is shown: a
/// pseudo-random function, so nobody without its key can test a guessed token against a line, and
/// tokens can be guessed where they have a password in them. A collision, found or not, makes two lines
/// look alike and lets nobody in. So it need not be the HMAC by which tokens are compared and stored.
fn hashed(token: &Token) -> String {
    static KEYS: LazyLock<(Key, RandomState)> = LazyLock::new(|| {
        let drawn =
            || rand::generate(&SystemRandom::new()).expect("the system must have random numbers");
        let key = [(); 4].map(|()| u64::from_ne_bytes(drawn().expose()));
        (Key(key), RandomState::new())
    });
    let (key, random) = &*KEYS;
    let short = HighwayHasher::new(*key).hash64(token.expose().as_bytes());
    let hash = random.hash_one(short).to_be_bytes();
    hex::encode(&hash[..6])
}

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
        assert!(
            one.bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        );
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(start("é".repeat(300).as_str()), "é".repeat(256));
        assert_eq!(start("ann"), "ann");
    }
}
