//! What kube-apiserver's own log says of the requests that it could not authenticate: the audit log
//! does not tell a refused token from a certificate that failed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::tail::Tail;
use crate::diagnosis::{INVALID_TOKEN, UNAUTHENTICATED};

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// For how long a rejection is known: so much later may a busy machine have its request audited. It
/// must be well under a minute, of which alone is known when it was.
const KEPT: Duration = Duration::from_secs(20);

/// How many are known at the most.
const CAPACITY: usize = 10_000;

/// The rejections of late.
pub(super) struct Rejections {
    log: Tail,
    /// And when each was read, the oldest first.
    recent: VecDeque<(Instant, Rejection)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Rejection {
    /// When it was logged, in microseconds of its minute: klog writes local times, and the zones'
    /// offsets are whole minutes.
    at: i64,
    /// Whether nothing but a token was wrong, and nothing with the webhook.
    of_token: bool,
}

impl Rejections {
    pub(super) fn new(log: Utf8PathBuf) -> Self {
        Self {
            log: Tail::at_end(log),
            recent: VecDeque::new(),
        }
    }

    /// Reads what was logged since the last look.
    pub(super) fn look(&mut self, now: Instant) {
        let lines = self.log.lines().unwrap_or_default();
        let new = lines.iter().filter_map(|line| Rejection::read(line));
        self.recent.extend(new.map(|rejection| (now, rejection)));
        let old = (self.recent).partition_point(|(read, _)| now.duration_since(*read) > KEPT);
        let many = self.recent.len().saturating_sub(CAPACITY);
        self.recent.drain(..old.max(many));
    }

    /// Whether all that were logged between these times, and there are some, were of tokens.
    pub(super) fn are_of_tokens(&self, from: Timestamp, until: Timestamp) -> bool {
        let took = until.as_microsecond() - from.as_microsecond();
        let since = |at: i64| (at - from.as_microsecond()).rem_euclid(MINUTE);
        let mut within = (self.recent.iter().map(|(_, rejection)| rejection))
            .filter(|rejection| since(rejection.at) <= took)
            .peekable();
        within.peek().is_some() && within.all(|rejection| rejection.of_token)
    }
}

impl Rejection {
    /// `E1126 12:26:14.465872    7698 authentication.go:76] "Unable to …" err="…"`
    fn read(line: &[u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?;
        let (head, error) = line.split_once(UNAUTHENTICATED)?;
        let time = head.split_whitespace().nth(1)?;
        let (seconds, micros) = time.rsplit_once(':')?.1.split_once('.')?;
        let (seconds, micros): (i64, i64) = (seconds.parse().ok()?, micros.parse().ok()?);
        Some(Self {
            at: seconds * 1_000_000 + micros,
            of_token: error.trim_end().trim_matches('"') == INVALID_TOKEN,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    fn line(time: &str, error: &str) -> String {
        format!("E1126 {time}    7698 authentication.go:76] {UNAUTHENTICATED}\"{error}\"")
    }

    #[test]
    fn a_token_and_what_is_none() {
        let read = |error: &str| Rejection::read(line("12:26:14.000002", error).as_bytes());
        let token = read("invalid bearer token").expect("is one");
        assert_eq!((token.at, token.of_token), (14_000_002, true));
        for error in [
            "verifying certificate SN=1 failed: x509: certificate signed by unknown authority",
            "[verifying certificate SN=1 failed: x509: …, invalid bearer token]",
            "[invalid bearer token, busy]",
        ] {
            assert!(!read(error).expect("is one").of_token, "{error}");
        }
        assert_eq!(Rejection::read(b"I1126 12:26:14.0 1 a.go:1] else"), None);
        assert_eq!(Rejection::read(b""), None);
    }

    #[test]
    fn those_of_a_requests_time_count() {
        let folder = tempfile::tempdir().expect("must be made");
        let path = folder.path().join("log");
        let mut file = File::create(&path).expect("must be made");
        let mut rejections = Rejections::new(path.try_into().expect("must be UTF-8"));
        let at = |text: &str| text.parse::<Timestamp>().expect("is one");
        // Across a minute's end, in a zone of its own.
        let (from, until) = (
            at("2026-11-26T10:00:59.999999Z"),
            at("2026-11-26T10:01:00.000003Z"),
        );
        assert!(!rejections.are_of_tokens(from, until));
        let token = line("15:31:00.000001", "invalid bearer token");
        let other = line("15:31:00.000004", "verifying certificate SN=1 failed");
        writeln!(file, "{token}\n{other}").expect("must be written");
        let now = Instant::now();
        rejections.look(now);
        assert!(rejections.are_of_tokens(from, until));
        assert!(!rejections.are_of_tokens(from, at("2026-11-26T10:01:00.000004Z")));
        assert!(!rejections.are_of_tokens(from, from));
        rejections.look(now);
        rejections.look(now + KEPT);
        assert!(rejections.are_of_tokens(from, until));
        rejections.look(now + KEPT + Duration::from_millis(1));
        assert!(!rejections.are_of_tokens(from, until));
    }

    #[test]
    fn no_more_than_so_many_are_known_the_latest() {
        let folder = tempfile::tempdir().expect("must be made");
        let path = folder.path().join("log");
        let early = line("12:00:00.000001", "invalid bearer token");
        let late = line("12:00:00.000002", "invalid bearer token");
        let mut rejections = Rejections::new(path.clone().try_into().expect("must be UTF-8"));
        let lines = format!("{early}\n").repeat(3) + &format!("{late}\n").repeat(CAPACITY);
        std::fs::write(&path, lines).expect("must be written");
        rejections.look(Instant::now());
        assert_eq!(rejections.recent.len(), CAPACITY);
        assert!(rejections.recent.iter().all(|(_, it)| it.at == 2));
    }
}
