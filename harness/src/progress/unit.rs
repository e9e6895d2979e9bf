//! Counts and times, as they are shown.

use std::time::Duration;

use indicatif::ProgressStyle;

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown as `12.3 MB`.
    Bytes,
    /// Go packages.
    Packages,
    /// Go modules.
    Modules,
}

impl Unit {
    pub(super) fn style(self, total: u64) -> ProgressStyle {
        let counts = match (self, total) {
            (Self::Bytes, 0) => "{decimal_bytes}".to_owned(),
            (Self::Bytes, _) => "{bar:24} {decimal_bytes} of {decimal_total_bytes}".to_owned(),
            (_, 0) => format!("{{pos}} {}", self.noun()),
            (_, _) => format!("{{bar:24}} {{pos}} of {{len}} {}", self.noun()),
        };
        style(&format!(
            "{{spinner}} {{prefix}} {counts}, {{elapsed}} {{wide_msg}}"
        ))
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Packages => "packages",
            Self::Modules => "modules",
        }
    }

    /// `10 %, 1.2 MB of 12.0 MB`, `3 packages`.
    pub(super) fn count(self, position: u64, total: u64) -> String {
        let amount = |units| match self {
            Self::Bytes => megabytes(units),
            Self::Packages | Self::Modules => format!("{units}"),
        };
        let noun = if self == Self::Bytes {
            String::new()
        } else {
            format!(" {}", self.noun())
        };
        match position.saturating_mul(100).checked_div(total) {
            None => amount(position) + &noun,
            Some(percent) => format!(
                "{percent} %, {} of {}{noun}",
                amount(position),
                amount(total)
            ),
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

/// `0.3 s`, `5 min 12 s`.
pub(super) fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}.{} s", time.subsec_millis() / 100),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template must be valid")
        .progress_chars("━╸ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_are_readable() {
        assert_eq!(
            Unit::Bytes.count(1_260_000, 12_000_000),
            "10 %, 1.2 MB of 12.0 MB"
        );
        assert_eq!(Unit::Bytes.count(1_260_000, 0), "1.2 MB");
        assert_eq!(elapsed(Duration::from_millis(350)), "0.3 s");
        assert_eq!(elapsed(Duration::from_secs(312)), "5 min 12 s");
    }
}
