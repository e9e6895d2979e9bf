//! The `?timeout=` that the apiserver puts on its calls.

use std::time::Duration;

/// The `timeout` of a query such as `timeout=30s`: a Go duration (`time.ParseDuration`, Go 1.26).
/// None when there is none, or none that makes sense: the parameter is a courtesy, so that
/// nonsense is no error. Signs are nonsense here.
pub(crate) fn from_query(query: &str) -> Option<Duration> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(parse)
}

/// When to answer a caller that waits for `timeout`: a tenth earlier, one second at most, so that
/// the answer arrives while it still waits. Zero is no limit, as in Go's clients.
pub(crate) fn before(timeout: Duration) -> Duration {
    if timeout.is_zero() {
        return Duration::MAX;
    }
    timeout.saturating_sub((timeout / 10).min(Duration::from_secs(1)))
}

pub(crate) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = None;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| !c.is_ascii_digit() && c != '.');
        let (unit, tail) = split(tail, |c| c.is_ascii_digit() || c == '.');
        let seconds = match unit {
            "ns" => 1e-9,
            // `us` with either of Unicode's micro signs would come percent-encoded: nonsense.
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = number.parse::<f64>().ok()? * seconds;
        let part = Duration::try_from_secs_f64(part).ok()?;
        total = Some(total.unwrap_or(Duration::ZERO).checked_add(part)?);
        rest = tail;
    }
    total
}

fn split(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("timeout=30s", 30_000)]
    #[case("timeout=1m30s", 90_000)]
    #[case("a=b&timeout=500ms&timeout=1s", 500)]
    #[case("timeout=1.5s", 1_500)]
    #[case("timeout=.5h", 1_800_000)]
    #[case("timeout=2000us3000000ns", 5)]
    #[case("timeout=0", 0)]
    fn durations(#[case] query: &str, #[case] milliseconds: u64) {
        assert_eq!(from_query(query), Some(Duration::from_millis(milliseconds)));
    }

    #[rstest]
    #[case::apiservers(30_000, 29_000)]
    #[case::tenth(500, 450)]
    fn answers_come_earlier(#[case] waited: u64, #[case] answered: u64) {
        let timeout = Duration::from_millis(waited);
        assert_eq!(before(timeout), Duration::from_millis(answered));
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(before(Duration::ZERO), Duration::MAX);
    }

    #[rstest]
    #[case("")]
    #[case("timeout")]
    #[case("timeout=")]
    #[case("timeout=30")]
    #[case("timeout=-30s")]
    #[case("timeout=s")]
    #[case("timeout=.s")]
    #[case("timeout=1.2.3s")]
    #[case("timeout=1d")]
    #[case("timeout=inf")]
    #[case("timeout=30s ")]
    #[case("timeout=99999999999999999999999h")]
    #[case("timeouts=30s")]
    fn nonsense(#[case] query: &str) {
        assert_eq!(from_query(query), None);
    }
}
