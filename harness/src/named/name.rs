//! What a lab is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most characters of a name: it becomes a part of others, which have limits of their own.
const LONGEST: usize = 40;

/// The name of a lab: lower-case letters, digits and `-` between them, at most 40 characters (a
/// DNS label, RFC 1123).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LabName(String);

/// A text that cannot be a lab's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no name for a lab: lower-case letters, digits and `-` between them, \
     at most {LONGEST} characters"
)]
pub struct LabNameError {
    text: String,
}

impl LabName {
    /// As a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LabName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LabName {
    type Err = LabNameError;

    fn from_str(text: &str) -> Result<Self, LabNameError> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let inside = |c: char| c == '-';
        if text.is_empty()
            || text.len() > LONGEST
            || !text.chars().all(known)
            || text.starts_with(inside)
            || text.ends_with(inside)
        {
            return Err(LabNameError {
                text: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<LabName> for String {
    fn from(name: LabName) -> Self {
        name.0
    }
}

impl TryFrom<String> for LabName {
    type Error = LabNameError;

    fn try_from(text: String) -> Result<Self, LabNameError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("default")]
    #[case("a")]
    #[case("my-lab-2")]
    #[case("1234567890123456789012345678901234567890")]
    fn a_name(#[case] text: &str) {
        let name: LabName = text.parse().expect("must be a name");
        assert_eq!(name.to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("A")]
    #[case("-a")]
    #[case("a-")]
    #[case("a b")]
    #[case("../a")]
    #[case(".a")]
    #[case("ä")]
    #[case("12345678901234567890123456789012345678901")]
    fn no_name(#[case] text: &str) {
        let error = text.parse::<LabName>().expect_err("must be refused");
        assert!(
            error
                .to_string()
                .starts_with(&format!("`{text}` is no name"))
        );
        let json = serde_json::to_string(text).expect("must be written");
        assert!(serde_json::from_str::<LabName>(&json).is_err());
    }
}
