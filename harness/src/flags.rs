//! Command-line flags as data.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The flags of one program: names without dashes, each with its values in order.
///
/// Kept sorted by name, so that a command line reads the same in each run. A flag with
/// several values is repeated (`--a=1 --a=2`), which Kubernetes' list flags read as a list.
///
/// ```
/// # use tokenlab_harness::Flags;
/// let mut flags = Flags::default();
/// flags.set("v", "0").append("api-audiences", "a").append("api-audiences", "b");
/// assert_eq!(flags.args(), ["--api-audiences=a", "--api-audiences=b", "--v=0"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(BTreeMap<Cow<'static, str>, Vec<String>>);

impl Flags {
    /// Gives a flag this one value, whatever it had.
    pub fn set(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> &mut Self {
        self.0.insert(name.into(), vec![value.into()]);
        self
    }

    /// Adds a value to those that a flag has.
    pub fn append(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> &mut Self {
        self.0.entry(name.into()).or_default().push(value.into());
        self
    }

    /// Takes a flag away: the program's own default holds again.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.0.remove(name);
        self
    }

    /// Gives each of these flags its value, or takes it away where it has none.
    pub(crate) fn change(&mut self, changes: &[(String, Option<String>)]) {
        for (name, value) in changes {
            match value {
                Some(value) => self.set(name.clone(), value),
                None => self.unset(name),
            };
        }
    }

    /// Gives each flag of `other` the values that it has there.
    pub fn merge(&mut self, other: Self) -> &mut Self {
        self.0.extend(other.0);
        self
    }

    /// The values of a flag; empty when it is not set.
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The arguments, `--name=value` each, sorted by name.
    pub fn args(&self) -> Vec<String> {
        self.0
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("--{name}={value}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_replaces_append_adds_unset_removes() {
        let mut flags = Flags::default();
        flags.append("a", "1").append("a", "2").set("b", "3");
        assert_eq!(flags.args(), ["--a=1", "--a=2", "--b=3"]);
        flags.set("a", "4").unset("b");
        assert_eq!(flags.args(), ["--a=4"]);
        assert_eq!(flags.get("a"), ["4"]);
        assert!(flags.get("b").is_empty());
    }
}
