//! Durations of one thing, measured again and again.

use std::fmt;
use std::time::Duration;

/// What was measured, in the order of the rounds.
#[derive(Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    pub(crate) fn median(&self) -> Duration {
        let sorted = self.sorted();
        let last = sorted.len() - 1;
        (sorted[last / 2] + sorted[last.div_ceil(2)]) / 2
    }

    /// The duration that `percent` of all do not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let sorted = self.sorted();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted[rank.saturating_sub(1)]
    }

    /// Its median as a part of the other's, then the median of the rounds' own ratios.
    pub(crate) fn ratio(&self, other: &Self) -> String {
        let mut pairs: Vec<f64> = (self.0.iter().zip(&other.0))
            .map(|(ours, theirs)| ours.div_duration_f64(*theirs))
            .collect();
        let paired = middle(&mut pairs);
        let ratio = self.median().div_duration_f64(other.median());
        format!("{ratio:.2} (in pairs {paired:.2})")
    }

    /// The median of the rounds' own differences to the other, in signed milliseconds.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let mut pairs: Vec<f64> = (self.0.iter().zip(&other.0))
            .map(|(this, that)| (this.as_secs_f64() - that.as_secs_f64()) * 1e3)
            .collect();
        format!("{:+.0} ms", middle(&mut pairs))
    }

    /// For many short ones: the median and the 99th percentile.
    pub(crate) fn latency(&self) -> String {
        let median = self.median();
        let unit = Unit::of(median);
        let [median, most] = [median, self.percentile(99)].map(|each| unit.number(each));
        format!("p50 {median}, p99 {most} {}", unit.name)
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted
    }
}

/// The median of some; there must be one.
fn middle(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len() - 1;
    f64::midpoint(numbers[last / 2], numbers[last.div_ceil(2)])
}

/// The median, with the least and the most.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = self.median();
        let unit = Unit::of(median);
        let [median, least, most] =
            [median, self.percentile(0), self.percentile(100)].map(|each| unit.number(each));
        write!(f, "{median} {} ({least} to {most})", unit.name)
    }
}

/// In what a duration is told, so that about three of its digits are.
struct Unit {
    name: &'static str,
    per_second: f64,
    decimals: usize,
}

impl Unit {
    fn of(duration: Duration) -> Self {
        let (name, per_second, decimals) = match duration.as_secs_f64() {
            0.95.. => ("s", 1.0, 2),
            0.0095.. => ("ms", 1e3, 0),
            _ => ("ms", 1e3, 2),
        };
        Self {
            name,
            per_second,
            decimals,
        }
    }

    fn number(&self, duration: Duration) -> String {
        let number = duration.as_secs_f64() * self.per_second;
        format!("{number:.*}", self.decimals)
    }
}
