//! An event as a line: in columns, where it fits.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tokenlab_harness::journal::{Outcome, ReviewEvent};

/// The head of the columns. With the audience that an apiserver asks for by default, and a short
/// name, they are 80 wide.
pub(super) fn head() -> String {
    let cells = [
        "TIME",
        "TOKEN",
        "AUDIENCES",
        "DECISION",
        "LATENCY",
        "SOURCE",
    ];
    columns(cells, Style::new())
}

/// An event.
pub(super) fn of(event: &ReviewEvent) -> String {
    let time = event.when.strftime("%H:%M:%S").to_string();
    let token = event.token.as_ref().map(ToString::to_string);
    // Nearly all are URLs of that scheme, and it says nothing.
    let audiences = event.audiences.iter();
    let audiences = audiences.map(|audience| audience.strip_prefix("https://").unwrap_or(audience));
    let audiences = audiences.collect::<Vec<_>>().join(" ");
    let (decision, style) = decision(event);
    let latency = event.latency.map(latency).unwrap_or_default();
    let mut source = event.source.to_string();
    if let Some(fault) = event.fault {
        source = format!("{source}, {fault}");
    }
    if let Outcome::Undecided { reason }
    | Outcome::Unavailable { reason }
    | Outcome::Overloaded { reason } = &event.outcome
    {
        source = format!("{source}: {reason}");
    }
    let token = token.unwrap_or_default();
    columns(
        [&time, &token, &audiences, &decision, &latency, &source],
        style,
    )
}

fn columns(cells: [&str; 6], style: Style) -> String {
    let [time, token, audiences, decision, latency, source] = cells;
    format!(
        "{time:8}  {token:12}  {audiences:22}  {style}{decision:14}{style:#}  {latency:>7}  {source}"
    )
}

/// With a mark, so that a user who is called `refused` is not taken for a refusal.
fn decision(event: &ReviewEvent) -> (String, Style) {
    let yellow = AnsiColor::Yellow.on_default();
    match &event.outcome {
        // The apiserver cannot read it.
        Outcome::Authenticated { user, .. } if event.fault.is_some() => {
            (format!("? {user}"), yellow)
        }
        Outcome::Authenticated { user, .. } if user.is_empty() => {
            ("✓ recognised".to_owned(), AnsiColor::Green.on_default())
        }
        Outcome::Authenticated { user, .. } => (format!("✓ {user}"), AnsiColor::Green.on_default()),
        Outcome::Refused => ("✗ refused".to_owned(), AnsiColor::Red.on_default()),
        Outcome::Undecided { .. } => ("? undecided".to_owned(), yellow),
        Outcome::Unavailable { .. } => ("? unavailable".to_owned(), yellow),
        Outcome::Overloaded { .. } => ("? overloaded".to_owned(), yellow),
        Outcome::Played { status } => (format!("? HTTP {status}"), yellow),
        Outcome::Panicked => ("? panicked".to_owned(), yellow),
        _ => ("? unanswered".to_owned(), yellow),
    }
}

/// Three digits that count.
fn latency(latency: Duration) -> String {
    let milliseconds = latency.as_secs_f64() * 1000.0;
    let (value, unit) = if milliseconds < 999.5 {
        (milliseconds, "ms")
    } else {
        (milliseconds / 1000.0, "s")
    };
    let places = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.places$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> ReviewEvent {
        serde_json::from_str(json).expect("must be an event")
    }

    fn plain(event: &ReviewEvent) -> String {
        anstream::adapter::strip_str(&of(event)).to_string()
    }

    #[test]
    fn they_stand_below_each_other() {
        let asked = event(
            r#"{"when":"2026-11-26T10:44:46.5Z","token":"3fa9c1d2e4b5","api_version":"authentication.k8s.io/v1","audiences":["https://kubernetes.default.svc"],"decision":"authenticated","user":"mock","latency_us":48,"source":"asked"}"#,
        );
        let cached =
            event(r#"{"when":"2026-11-26T10:44:47Z","decision":"refused","source":"cached"}"#);
        let spoiled = event(
            r#"{"when":"2026-11-26T10:44:48Z","token":"3fa9c1d2e4b5","audiences":["a","https://b"],"decision":"undecided","reason":"no answer from there","latency_us":1500000,"source":"asked","fault":"other-version"}"#,
        );
        let unread = event(
            r#"{"when":"2026-11-26T10:44:49Z","token":"3fa9c1d2e4b5","decision":"authenticated","user":"mock","latency_us":48,"source":"direct","fault":"other-version"}"#,
        );
        let events = [&asked, &cached, &spoiled, &unread].map(plain);
        let lines: Vec<_> = std::iter::once(head()).chain(events).collect();
        let strip = |line: String| anstream::adapter::strip_str(&line).to_string();
        let lines: Vec<_> = lines.into_iter().map(strip).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        TIME      TOKEN         AUDIENCES               DECISION        LATENCY  SOURCE
        10:44:46  3fa9c1d2e4b5  kubernetes.default.svc  ✓ mock          0.05 ms  asked
        10:44:47                                        ✗ refused                cached
        10:44:48  3fa9c1d2e4b5  a b                     ? undecided      1.50 s  asked, other-version: no answer from there
        10:44:49  3fa9c1d2e4b5                          ? mock          0.05 ms  direct, other-version
        ");
        assert!(lines[..3].iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn latencies() {
        let texts = [0, 48, 9_994, 9_996, 123_456, 999_600, 30_000_000]
            .map(|latency| super::latency(Duration::from_micros(latency)));
        let expected = [
            "0.00 ms", "0.05 ms", "9.99 ms", "10.0 ms", "123 ms", "1.00 s", "30.0 s",
        ];
        assert_eq!(texts, expected);
    }
}
