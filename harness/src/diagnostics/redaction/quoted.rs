//! Secrets in JSON: also in JSON that is a string of JSON, as often as programs do that in their
//! logs (`{\"token\":\"…\"}`), and in JSON that is cut off.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::encoded::is_certificate;
use super::{is_nothing, mark};

/// A key whose value is secret, up to the value's opening quote. The quote's backslashes tell how
/// deep it is.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)"(?:[a-z0-9_.-]*[_.-])?(token|access_?token|id_?token|refresh_?token|bearer_?token|password|passwd|client-?key-?data|client_?secret|secret-?key|certificate-?key)\\*"\s*:\s*(\\*)""#,
    )
    .expect("must compile")
});

static SECRET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""kind\\*"\s*:\s*\\*"Secret\\*""#).expect("must compile"));

static DATA: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""(?:data|stringData)\\*"\s*:\s*\{"#).expect("must compile"));

static NEXT_VALUE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^[\s,]*\\*"[^"\\]*\\*"\s*:\s*(\\*)""#).expect("must compile"));

/// The length of a string's content, from behind its opening quote with this many backslashes;
/// the whole text when it is cut off.
///
/// Each time that a text becomes a string, its quotes and backslashes get a backslash. So the
/// closing quote has as many as the opening one (2^depth - 1), and before them a multiple of
/// twice 2^depth that are the content's.
fn content(text: &str, backslashes: usize) -> usize {
    let period = 2 * (backslashes + 1);
    let mut run = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\\' => run += 1,
            b'"' if run % period == backslashes || run < backslashes => {
                return at - run.min(backslashes);
            }
            // No string of JSON has a line break: it was cut off here.
            b'\n' => return at,
            _ => run = 0,
        }
        if byte == b'"' {
            run = 0;
        }
    }
    text.len()
}

/// Replaces the values of keys that say that they are secret.
pub(super) fn without_values(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(found) = KEY.captures(rest) {
        let opened = found.get(0).map_or(rest.len(), |all| all.end());
        let length = content(&rest[opened..], found[2].len());
        out.push_str(&rest[..opened]);
        push(
            &mut out,
            &rest[opened..opened + length],
            &found[1].to_ascii_lowercase(),
        );
        rest = &rest[opened + length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Replaces what Secrets hold. A text that has one may have other objects with `data`: they lose
/// theirs too.
pub(super) fn without_secrets(text: &str) -> Cow<'_, str> {
    if !SECRET.is_match(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(found) = DATA.find(rest) {
        out.push_str(&rest[..found.end()]);
        rest = &rest[found.end()..];
        while let Some(found) = NEXT_VALUE.captures(rest) {
            let opened = found.get(0).map_or(rest.len(), |all| all.end());
            let length = content(&rest[opened..], found[1].len());
            out.push_str(&rest[..opened]);
            push(&mut out, &rest[opened..opened + length], "Secret");
            // The closing quote.
            let closed = opened + length;
            let quote = rest[closed..]
                .find('"')
                .map_or(rest.len(), |at| closed + at + 1);
            out.push_str(&rest[closed..quote]);
            rest = &rest[quote..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn push(out: &mut String, value: &str, what: &str) {
    if is_nothing(value) || is_certificate(value) {
        out.push_str(value);
    } else {
        out.push_str(&mark(what));
    }
}
