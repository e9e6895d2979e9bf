//! What kube-apiserver counts of its calls to the webhook.

use std::collections::BTreeMap;
use std::fmt;

/// How many calls to one host ended how: by HTTP status, `<error>` where there was no answer.
///
/// client-go's `rest_client_requests_total`, which kube-apiserver has for its webhooks too; those of
/// the webhook itself are switched off in it (`webhook.New`,
/// `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls(BTreeMap<String, u64>);

const CALLS: &str = "rest_client_requests_total{";

impl Calls {
    /// Reads those to this host, `name:port`, in Prometheus' text.
    pub(super) fn read(metrics: &str, host: &str) -> Self {
        let mut calls = BTreeMap::new();
        for line in metrics.lines() {
            let Some((labels, count)) = line
                .strip_prefix(CALLS)
                .and_then(|line| line.rsplit_once("} "))
            else {
                continue;
            };
            if label(labels, "host").as_deref() == Some(host)
                && let (Some(code), Some(count)) = (label(labels, "code"), whole(count))
            {
                *calls.entry(code).or_default() += count;
            }
        }
        Self(calls)
    }

    /// Those that came since.
    pub(super) fn since(&self, before: &Self) -> Self {
        let calls = self.0.iter().map(|(code, count)| {
            let before = before.0.get(code).copied().unwrap_or_default();
            (code.clone(), count.saturating_sub(before))
        });
        Self(calls.filter(|(_, count)| *count > 0).collect())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are some, and none was answered.
    pub(super) fn none_is_answered(&self) -> bool {
        !self.is_empty() && self.0.keys().all(|code| code == "<error>")
    }

    /// Whether all that were answered had this status, and there are some.
    pub(super) fn all_are(&self, status: u16) -> bool {
        let mut answered = self.0.keys().filter(|code| *code != "<error>").peekable();
        let status = status.to_string();
        answered.peek().is_some() && answered.all(|code| *code == status)
    }
}

/// The value of one of these labels, `name="value"` each. What is escaped in it is escaped as in JSON.
fn label(mut labels: &str, name: &str) -> Option<String> {
    loop {
        let (given, rest) = labels.split_once('=')?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let value = values.next()?.ok()?;
        if given == name {
            return Some(value);
        }
        labels = rest[values.byte_offset()..].strip_prefix(',')?;
    }
}

/// Prometheus writes large numbers as `1e+06`.
fn whole(count: &str) -> Option<u64> {
    if let Ok(count) = count.parse() {
        return Some(count);
    }
    let (digits, exponent) = count.split_once("e+")?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let zeros = exponent.parse::<usize>().ok()?.checked_sub(part.len())?;
    format!("{whole}{part}{}", "0".repeat(zeros)).parse().ok()
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no call to the webhook");
        }
        let calls = self.0.iter().map(|(code, count)| match &**code {
            "<error>" => format!("{count} without an answer"),
            code => format!("{count} answered {code}"),
        });
        let calls: Vec<_> = calls.collect();
        write!(f, "calls to the webhook: {}", calls.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# TYPE rest_client_requests_total counter
rest_client_requests_total{code="200",host="127.0.0.1:1",method="POST"} 1.234567e+06
rest_client_requests_total{code="404",host="127.0.0.1:2",method="POST"} 3
rest_client_requests_total{code="<error>",host="127.0.0.1:2",method="POST"} 1
"#;

    #[test]
    fn a_label_is_not_one_of_a_similar_name_nor_within_another() {
        let labels = r#"vhost="a",path="\",host=\"b\"",host="c,d",code="200""#;
        assert_eq!(label(labels, "host").as_deref(), Some("c,d"));
        assert_eq!(label(labels, "code").as_deref(), Some("200"));
        assert_eq!(label(labels, "method"), None);
    }

    #[test]
    fn calls_of_one_host_since() {
        let read = |text, host| Calls::read(text, host);
        let calls = read(METRICS, "127.0.0.1:2");
        let text = "calls to the webhook: 3 answered 404, 1 without an answer";
        assert_eq!(calls.to_string(), text);
        assert!(calls.all_are(404) && !calls.all_are(200));
        let later = METRICS.replace("\"} 3", "\"} 5");
        let since = read(&later, "127.0.0.1:2").since(&calls);
        assert_eq!(since.to_string(), "calls to the webhook: 2 answered 404");
        assert!(calls.since(&calls).is_empty());
        assert_eq!(calls.since(&calls).to_string(), "no call to the webhook");
        let large = read(METRICS, "127.0.0.1:1").to_string();
        assert_eq!(large, "calls to the webhook: 1234567 answered 200");
    }
}
