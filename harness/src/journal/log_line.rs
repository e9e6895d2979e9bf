//! A review as the webhook's program logs it, where its log is all that there is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Outcome, ReviewEvent, Source, TokenHash};

/// What stands before a review's fields, after the time and the level.
const REVIEW: &str = " tokenlab_webhook::router: review ";

impl ReviewEvent {
    /// Reads a line that `tokenlab-webhook serve` logged of a review; none for any other line, that
    /// of a request which was no review among them. Of the user it has the name alone, and it has
    /// no audiences.
    pub fn from_log(line: &str) -> Option<Self> {
        let (head, fields) = line.split_once(REVIEW)?;
        // A container's log may have something before the program's own time.
        let when = head.split_whitespace().nth_back(1)?.parse().ok()?;
        let fields: BTreeMap<_, _> = Fields(fields).collect();
        let field = |name| fields.get(name).map(String::as_str);
        let reason = || field("reason").unwrap_or_default().to_owned();
        let outcome = match field("outcome")? {
            "authenticated" => Outcome::Authenticated {
                user: field("user").unwrap_or_default().to_owned(),
                uid: String::new(),
                groups: Vec::new(),
            },
            "refused" => Outcome::Refused,
            "undecided" => Outcome::Undecided { reason: reason() },
            "unavailable" | "timed_out" => Outcome::Unavailable { reason: reason() },
            "overloaded" => Outcome::Overloaded { reason: reason() },
            "panicked" => Outcome::Panicked,
            "abandoned" => Outcome::Unanswered,
            _ => return None,
        };
        let latency = field("latency_us").and_then(|latency| latency.parse().ok());
        Some(Self {
            when,
            token: field("token").and_then(TokenHash::parse),
            api_version: field("api_version").map(str::to_owned),
            audiences: Vec::new(),
            outcome,
            latency: latency.map(Duration::from_micros),
            source: Source::Asked,
            fault: None,
        })
    }
}

/// Fields as `tracing-subscriber` writes them: `name=value`, a text quoted as by `Debug`.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.trim_start().split_once('=')?;
        let (value, rest) = if let Some(quoted) = rest.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let (value, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            (value.to_owned(), rest)
        };
        self.0 = rest;
        Some((name, value))
    }
}

/// The text before a quotation mark that ends it, and what stands behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        let c = match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let (code, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                    chars = rest.chars();
                    char::from_u32(u32::from_str_radix(code, 16).ok()?)?
                }
                itself => itself,
            },
            itself => itself,
        };
        value.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review() {
        let line = r#"2026-11-26T11:00:00.123456Z  INFO tokenlab_webhook::router: review outcome="authenticated" code=200 latency_us=34 api_version="authentication.k8s.io/v1beta1" token="3fa9c1d2e4b5" user="mock""#;
        for line in [line, &format!("2026-11-26T11:00:01Z stderr F {line}")] {
            let event = ReviewEvent::from_log(line).expect("must be read");
            assert_eq!(event.when.to_string(), "2026-11-26T11:00:00.123456Z");
            assert_eq!(event.latency, Some(Duration::from_micros(34)));
            let version = event.api_version.as_deref();
            assert_eq!(version, Some("authentication.k8s.io/v1beta1"));
            let token = event.token.map(|token| token.to_string());
            assert_eq!(token.as_deref(), Some("3fa9c1d2e4b5"));
            assert!(matches!(event.outcome, Outcome::Authenticated { user, .. } if user == "mock"));
        }
    }

    #[test]
    fn one_that_was_not_decided() {
        let line = r#"2026-11-26T11:00:00Z  INFO tokenlab_webhook::router: review outcome="undecided" latency_us=1 api_version="authentication.k8s.io/v1" reason="no answer""#;
        let event = ReviewEvent::from_log(line).expect("must be read");
        let reason = "no answer".to_owned();
        assert_eq!(event.outcome, Outcome::Undecided { reason });
    }

    #[test]
    fn a_reason_may_look_like_anything() {
        for reason in [
            "say \"x\"",
            "a\\\n\u{7f}",
            "outcome=\"refused\" latency_us=7",
        ] {
            let line = format!(
                "2026-11-26T11:00:00Z  INFO tokenlab_webhook::router: review reason={reason:?} outcome=\"undecided\" latency_us=1"
            );
            let event = ReviewEvent::from_log(&line).expect("must be read");
            assert_eq!(event.latency, Some(Duration::from_micros(1)));
            let reason = reason.to_owned();
            assert_eq!(event.outcome, Outcome::Undecided { reason });
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "listening on https://0.0.0.0:8443/authenticate",
            "2026-11-26T11:00:00Z  INFO tokenlab_webhook::router: review",
            "2026-11-26T11:00:00Z  INFO tokenlab_webhook::router: review outcome=\"else\"",
            " INFO tokenlab_webhook::router: review outcome=\"refused\"",
        ] {
            assert_eq!(ReviewEvent::from_log(line), None, "{line}");
        }
    }
}
