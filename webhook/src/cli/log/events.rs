//! Events as lines, of text or of JSON.

use std::cell::Cell;
use std::fmt::{self, Debug, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::Format;

/// A text that is larger is not kept for the next line.
const LARGE: usize = 4096;

/// Gives each event to `write` as one whole line.
///
/// What `tracing-subscriber` would write, without its spans, for a fraction of its processor time:
/// with that, the line was a fifth of a whole review.
pub(super) struct Events<W> {
    pub(super) level: LevelFilter,
    pub(super) format: Format,
    /// Whether a terminal shows colours. Not for [`Format::Json`].
    pub(super) colour: bool,
    pub(super) write: W,
}

impl<W: Fn(&[u8]) + Send + Sync + 'static> Subscriber for Events<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        thread_local!(static LINE: Cell<Line> = Cell::default());
        // Another one, where what is written is an event's itself, or the thread ends.
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.stamp(SystemTime::now());
        match self.format {
            Format::Text => line.text(event, self.colour),
            Format::Json => line.json(event),
        }
        (self.write)(line.written.as_bytes());
        line.written.clear();
        line.written.shrink_to(LARGE);
        LINE.try_with(|kept| kept.set(line)).ok();
    }

    // There are no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A line, and the time in it.
#[derive(Default)]
struct Line {
    written: String,
    /// Since 1970.
    now: Duration,
    /// The time up to its seconds, which do not change with each line.
    second: String,
}

impl Line {
    fn stamp(&mut self, now: SystemTime) {
        // Nothing logs before 1970.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second.is_empty() || now.as_secs() != self.now.as_secs() {
            let second = i64::try_from(now.as_secs()).ok();
            let second = second.and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
            let second = second.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let (date, (hour, minute, second)) = (second.date(), second.to_hms());
            self.second = format!("{date}T{hour:02}:{minute:02}:{second:02}");
        }
        self.now = now;
    }

    fn text(&mut self, event: &Event<'_>, colour: bool) {
        let metadata = event.metadata();
        let (level, hue) = level_and_hue(*metadata.level());
        let [dim, hue, reset] = if colour {
            ["\x1b[2m", hue, "\x1b[0m"]
        } else {
            [""; 3]
        };
        self.written.push_str(dim);
        self.time();
        let target = metadata.target();
        self.written
            .extend([reset, " ", hue, level, reset, " ", dim, target, ":", reset]);
        event.record(&mut Text(&mut self.written));
        self.written.push('\n');
    }

    fn json(&mut self, event: &Event<'_>) {
        let metadata = event.metadata();
        self.written.push_str(r#"{"timestamp":""#);
        self.time();
        let level = metadata.level().as_str();
        self.written.extend([r#"","level":""#, level, "\""]);
        let mut fields = Json(&mut self.written);
        event.record(&mut fields);
        fields.add("target", metadata.target());
        self.written.push_str("}\n");
    }

    /// As `2026-11-26T11:00:00.000001Z`.
    fn time(&mut self) {
        let micros = 1_000_000 + self.now.subsec_micros();
        self.written.push_str(&self.second);
        // The one in front keeps the zeros, and makes room for the point.
        self.written.push('.');
        self.written
            .push_str(&itoa::Buffer::new().format(micros)[1..]);
        self.written.push('Z');
    }
}

const TAKES: &str = "a String must take text";

/// A level, as wide as all of them, and its colour.
fn level_and_hue(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("ERROR", "\x1b[31m"),
        Level::WARN => (" WARN", "\x1b[33m"),
        Level::INFO => (" INFO", "\x1b[32m"),
        Level::DEBUG => ("DEBUG", "\x1b[34m"),
        _ => ("TRACE", "\x1b[35m"),
    }
}

/// Whether a text can stand in a line as it is, between quotation marks too. Counted, not `all`: a loop
/// that may stop early takes one octet at a time.
fn is_plain(text: &str) -> bool {
    let plain = |octet: &u8| matches!(octet, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    text.bytes().filter(plain).count() == text.len()
}

/// Fields as ` name=value`, texts in quotation marks; of the message only its text.
struct Text<'a>(&'a mut String);

impl Text<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push(' ');
        if field.name() != "message" {
            self.0.push_str(field.name());
            self.0.push('=');
        }
    }
}

impl Visit for Text<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.0.push_str(itoa::Buffer::new().format(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        if is_plain(value) {
            self.0.push('"');
            self.0.push_str(value);
            self.0.push('"');
        } else {
            write!(self.0, "{value:?}").expect(TAKES);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        write!(OneLine(self.0), "{value:?}").expect(TAKES);
    }
}

/// Writes control characters as in a `str`'s `Debug`: none can begin another line.
struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if is_plain(text) {
            self.0.push_str(text);
            return Ok(());
        }
        for piece in text.split_inclusive(char::is_control) {
            let control = piece.chars().next_back().filter(|c| c.is_control());
            let end = piece.len() - control.map_or(0, char::len_utf8);
            self.0.push_str(&piece[..end]);
            self.0
                .extend(control.into_iter().flat_map(char::escape_debug));
        }
        Ok(())
    }
}

/// Fields as `,"name":value`.
struct Json<'a>(&'a mut String);

impl Json<'_> {
    fn add(&mut self, name: &str, value: impl Serialize) {
        let value = serde_json::to_string(&value).expect("a plain value must become JSON");
        write!(self.0, r#","{name}":{value}"#).expect(TAKES);
    }
}

impl Visit for Json<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use insta::assert_snapshot;

    use super::*;

    /// What is written of some events, each with another time.
    fn written(format: Format, colour: bool) -> String {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        let events = Events {
            level: LevelFilter::INFO,
            format,
            colour,
            write: move |line: &[u8]| {
                let line = str::from_utf8(line).expect("UTF-8");
                shared.lock().expect("no panic").push_str(line);
            },
        };
        tracing::subscriber::with_default(events, || {
            let name = "ann\n2026-11-26T11:00:00Z  INFO \"x\\y\" é";
            let none: Option<&str> = None;
            tracing::info!(target: "a::b", user = name, code = 200_u16, none, "review");
            let error = std::io::Error::other("one\ntwo\u{1b}[0m");
            tracing::warn!(target: "a", %error, list = ?["x"], below = -1, good = true, "{}\n", 1);
            tracing::error!(target: "a", value = 0.5);
            tracing::debug!(target: "a", "not so much");
            let _span = tracing::info_span!("a span", x = 1).entered();
        });
        let text = text.lock().expect("no panic");
        timeless(&text)
    }

    /// The text with its times taken out, all of which must look like one.
    fn timeless(text: &str) -> String {
        let pattern = "dddd-dd-ddTdd:dd:dd.ddddddZ";
        let lines = text.lines().map(|line| {
            let at = line.find('T').expect("a time") - 10;
            let time = &line[at..at + pattern.len()];
            let digits = |c: char| if c.is_ascii_digit() { 'd' } else { c };
            assert_eq!(time.chars().map(digits).collect::<String>(), pattern);
            line.replacen(time, "[TIME]", 1)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn text() {
        assert_snapshot!(written(Format::Text, false), @r#"
        [TIME]  INFO a::b: review user="ann\n2026-11-26T11:00:00Z  INFO \"x\\y\" é" code=200
        [TIME]  WARN a: 1\n error=one\ntwo\u{1b}[0m list=["x"] below=-1 good=true
        [TIME] ERROR a: value=0.5
        "#);
    }

    #[test]
    fn coloured() {
        let text = written(Format::Text, true).replace('\x1b', "␛");
        assert_snapshot!(text, @r#"
        ␛[2m[TIME]␛[0m ␛[32m INFO␛[0m ␛[2ma::b:␛[0m review user="ann\n2026-11-26T11:00:00Z  INFO \"x\\y\" é" code=200
        ␛[2m[TIME]␛[0m ␛[33m WARN␛[0m ␛[2ma:␛[0m 1\n error=one\ntwo\u{1b}[0m list=["x"] below=-1 good=true
        ␛[2m[TIME]␛[0m ␛[31mERROR␛[0m ␛[2ma:␛[0m value=0.5
        "#);
    }

    #[test]
    fn json() {
        let text = written(Format::Json, false);
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        }
        assert_snapshot!(text, @r#"
        {"timestamp":"[TIME]","level":"INFO","message":"review","user":"ann\n2026-11-26T11:00:00Z  INFO \"x\\y\" é","code":200,"target":"a::b"}
        {"timestamp":"[TIME]","level":"WARN","message":"1\n","error":"one\ntwo\u001b[0m","list":"[\"x\"]","below":-1,"good":true,"target":"a"}
        {"timestamp":"[TIME]","level":"ERROR","value":0.5,"target":"a"}
        "#);
    }

    #[test]
    fn times() {
        let mut line = Line::default();
        for (since, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 5_000, "2000-02-28T23:59:59.005000Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (951_782_400, 999_999, "2000-02-29T00:00:00.999999Z"),
        ] {
            line.stamp(UNIX_EPOCH + Duration::new(since, micros * 1000));
            line.time();
            assert_eq!(line.written, expected);
            line.written.clear();
        }
    }
}
