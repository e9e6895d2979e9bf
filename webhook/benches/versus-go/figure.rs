//! One figure, measured again and again.

use std::fmt;

/// What was measured, in the order of the rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure(Vec<f64>);

impl Figure {
    pub(crate) fn add(&mut self, number: f64) {
        self.0.push(number);
    }

    pub(crate) fn median(&self) -> f64 {
        middle(self.0.clone())
    }

    /// The median of the rounds' own ratios, this one to the other.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        middle(pairs.map(|(this, that)| this / that).collect())
    }

    /// Half of what lies between the least and the most, in percent of the median.
    fn spread(&self) -> f64 {
        let most = self.0.iter().copied().fold(f64::MIN, f64::max);
        let least = self.0.iter().copied().fold(f64::MAX, f64::min);
        50.0 * (most - least) / self.median()
    }
}

/// The median of some; there must be one.
fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len() - 1;
    f64::midpoint(numbers[last / 2], numbers[last.div_ceil(2)])
}

/// The median in three digits; with the spread where there was more than one round.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digits(self.median()))?;
        if self.0.len() > 1 {
            write!(f, " ±{:.0} %", self.spread())?;
        }
        Ok(())
    }
}

/// Three digits that count, and a comma before each three that stand before the point.
pub(crate) fn digits(number: f64) -> String {
    match number {
        0.0..1.0 => format!("{number:.3}"),
        1.0..10.0 => format!("{number:.2}"),
        10.0..100.0 => format!("{number:.1}"),
        100.0..1e4 => format!("{number:.0}"),
        // Thousands.
        1e4..1e5 => format!("{:.1} k", number / 1e3),
        _ => format!("{:.0} k", number / 1e3),
    }
}
