//! Tokens, passwords and private keys in a text, replaced by marks such as
//! `[REDACTED: bearer token]`.
//!
//! Two nets, one behind the other: what the lab itself handed out is known and replaced wherever
//! it stands ([`known`]), and what looks like a secret is replaced because it does
//! ([`Redaction::text`]). Too much is better than too little, but for two things that a reader
//! needs: certificates, which are public, and the messages *about* tokens.

mod encoded;
mod known;
mod quoted;
mod words;
mod yaml;

use std::borrow::Cow;

use camino::Utf8Path;

/// What is replaced in a text.
#[derive(Clone, Default)]
pub(crate) struct Redaction {
    known: known::Known,
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redaction(redacted)")
    }
}

/// How often a text is looked for within base64 within base64: a Secret with a kubeconfig with a
/// key is two deep.
const DEPTH: usize = 3;

impl Redaction {
    /// With the credentials of all kubeconfigs in this folder known.
    pub(crate) fn of_folder(folder: &Utf8Path) -> Self {
        let mut known = known::Known::default();
        known.learn(folder);
        Self { known }
    }

    /// Knows one secret more.
    pub(crate) fn know(&mut self, secret: &str) {
        self.known.add(secret);
    }

    /// The text without what is secret in it.
    pub(crate) fn text(&self, text: &str) -> String {
        self.at_depth(text, 0).into_owned()
    }

    fn at_depth<'a>(&self, text: &'a str, depth: usize) -> Cow<'a, str> {
        let holds_a_secret = |decoded: &str| {
            depth < DEPTH && matches!(self.at_depth(decoded, depth + 1), Cow::Owned(_))
        };
        Text(Cow::Borrowed(text))
            .then(|text| self.known.replaced(text))
            .then(encoded::without_private_keys)
            .then(words::without_web_tokens)
            .then(yaml::without_secrets)
            .then(quoted::without_secrets)
            .then(|text| encoded::without_encoded(text, &holds_a_secret))
            .then(quoted::without_values)
            .then(yaml::without_values)
            .then(words::without_words)
            .0
    }
}

/// A text that is only copied when it changes, so that "nothing was replaced" can be told.
struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    fn then(self, step: impl FnOnce(&str) -> Cow<'_, str>) -> Self {
        match step(&self.0) {
            Cow::Owned(changed) if changed != self.0 => Self(Cow::Owned(changed)),
            _ => self,
        }
    }
}

/// What stands in the place of a secret.
fn mark(what: &str) -> String {
    format!("[REDACTED: {what}]")
}

/// Whether a value is a mark already, or tells that there is nothing.
fn is_nothing(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'', '\\']);
    value.starts_with("[REDACTED") || matches!(value, "" | "null" | "~" | "{}" | "[]" | "<none>")
}

#[cfg(test)]
mod tests;
