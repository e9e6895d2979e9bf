//! Private keys as PEM, and whatever is secret in base64.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regex::{Captures, Regex};

use super::mark;

/// A key whose end is missing takes the rest of the text with it, as far as that can be a key.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|[A-Za-z0-9+/=\s\\]*)",
    )
    .expect("must compile")
});

/// The end of a key whose beginning was cut off.
static END_OF_KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:[A-Za-z0-9+/=]+(?:\s|\\n|\\r)*)*-----END [A-Z0-9 ]*PRIVATE KEY-----")
        .expect("must compile")
});

/// `-----BEGIN ` in base64, with what follows it: by itself, since what stands before it may look
/// like base64 too. Lines of it may be wrapped.
static ENCODED_PEM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"LS0tLS1CRUdJTi[A-Za-z0-9+/_-]*(?:(?:\s|\\n)+[A-Za-z0-9+/_-]{40,})*={0,2}")
        .expect("must compile")
});

static ENCODED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{20,}={0,2}").expect("must compile"));

/// Of either alphabet, padded or not, cut off or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(super) fn without_private_keys(text: &str) -> Cow<'_, str> {
    if !text.contains("PRIVATE KEY-----") {
        return Cow::Borrowed(text);
    }
    let key = mark("private key");
    let whole = PRIVATE_KEY.replace_all(text, &key);
    Cow::Owned(END_OF_KEY.replace_all(&whole, &key).into_owned())
}

/// Replaces what is secret when it is decoded.
pub(super) fn without_encoded<'a>(
    text: &'a str,
    holds_a_secret: &dyn Fn(&str) -> bool,
) -> Cow<'a, str> {
    let replace = |found: &Captures<'_>| {
        let encoded = &found[0];
        match decoded(encoded) {
            Some(text) if text.contains("PRIVATE KEY-----") => mark("private key, base64"),
            Some(text) if holds_a_secret(&text) => mark("secret, base64"),
            _ => encoded.to_owned(),
        }
    };
    let pem = ENCODED_PEM.replace_all(text, replace);
    Cow::Owned(ENCODED.replace_all(&pem, replace).into_owned())
}

/// The text that this is the base64 of; `None` when it is none.
pub(super) fn decoded(encoded: &str) -> Option<String> {
    let mut digits: String = encoded
        .replace("\\n", "")
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '=')
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    let bytes = LENIENT.decode(digits).ok()?;
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        // Cut off within a character.
        Err(error) if error.utf8_error().error_len().is_none() => {
            Some(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(_binary) => None,
    }
}

/// Whether this is the base64 of certificates, and of nothing else.
pub(super) fn is_certificate(encoded: &str) -> bool {
    decoded(encoded).is_some_and(|text| {
        text.starts_with("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE KEY")
    })
}
