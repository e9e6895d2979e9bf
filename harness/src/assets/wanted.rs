//! Which version is asked for.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Serialize};

/// The series that [`Wanted::Default`] stands for: major and minor.
pub const DEFAULT_SERIES: (u64, u64) = (1, 37);

/// The version of Kubernetes that is asked for.
///
/// Read from `1.36`, `v1.36`, `1.36.3` or `v1.36.3`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Wanted {
    /// Whatever the environment names, else the newest patch of [`DEFAULT_SERIES`].
    #[default]
    Default,
    /// The newest patch of a series; each source resolves it to the newest that it has.
    Series {
        /// 1 in `1.36`.
        major: u64,
        /// 36 in `1.36`.
        minor: u64,
    },
    /// This version and no other.
    Exact(Version),
}

impl Wanted {
    /// What `LAB_KUBERNETES` names. Set but empty, as a CI's matrix may have it, it counts as not
    /// set.
    pub fn from_env() -> Result<Self, WantedError> {
        match std::env::var("LAB_KUBERNETES") {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(Self::Default),
        }
    }

    /// Whether the version is one of those asked for. Pre-releases only count when named exactly.
    pub fn accepts(&self, version: &Version) -> bool {
        let (major, minor) = match self {
            Self::Default => DEFAULT_SERIES,
            Self::Series { major, minor } => (*major, *minor),
            Self::Exact(exact) => return exact == version,
        };
        (version.major, version.minor) == (major, minor) && version.pre.is_empty()
    }

    /// Like [`accepts`](Self::accepts), for programs that someone named: without a wish for a
    /// version, they are taken whatever theirs is.
    pub(super) fn accepts_named(&self, version: &Version) -> bool {
        *self == Self::Default || self.accepts(version)
    }

    /// The newest of those that are accepted.
    pub(super) fn newest<'a>(
        &self,
        versions: impl IntoIterator<Item = &'a Version>,
    ) -> Option<&'a Version> {
        versions
            .into_iter()
            .filter(|version| self.accepts(version))
            .max()
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "{}.{}", DEFAULT_SERIES.0, DEFAULT_SERIES.1),
            Self::Series { major, minor } => write!(f, "{major}.{minor}"),
            Self::Exact(version) => write!(f, "{version}"),
        }
    }
}

impl From<Wanted> for String {
    /// [`Wanted::Default`] is not a series, so it is nothing.
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Default => Self::new(),
            wanted => wanted.to_string(),
        }
    }
}

impl TryFrom<String> for Wanted {
    type Error = WantedError;

    fn try_from(text: String) -> Result<Self, WantedError> {
        if text.is_empty() {
            return Ok(Self::Default);
        }
        text.parse()
    }
}

/// A text that names no version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither a series such as `1.36` nor a version such as `v1.36.3`")]
pub struct WantedError {
    text: String,
}

impl FromStr for Wanted {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || WantedError {
            text: text.to_owned(),
        };
        let bare = text.strip_prefix('v').unwrap_or(text);
        if bare.matches('.').count() == 1 {
            // The rules for numbers (no sign, no leading zero) are those of a whole version.
            let version = Version::parse(&format!("{bare}.0")).map_err(|_| error())?;
            return if version.pre.is_empty() && version.build.is_empty() {
                Ok(Self::Series {
                    major: version.major,
                    minor: version.minor,
                })
            } else {
                Err(error())
            };
        }
        match Version::parse(bare) {
            Ok(version) if version.build.is_empty() => Ok(Self::Exact(version)),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::series("1.36", Wanted::Series { major: 1, minor: 36 })]
    #[case::series_with_v("v1.36", Wanted::Series { major: 1, minor: 36 })]
    #[case::exact("1.36.3", Wanted::Exact(Version::new(1, 36, 3)))]
    #[case::exact_with_v("v1.36.3", Wanted::Exact(Version::new(1, 36, 3)))]
    fn reads(#[case] text: &str, #[case] wanted: Wanted) {
        assert_eq!(text.parse(), Ok(wanted));
    }

    #[rstest]
    #[case::empty("")]
    #[case::major_only("1")]
    #[case::word("latest")]
    #[case::wildcard("1.36.x")]
    #[case::twice_v("vv1.36")]
    #[case::sign("1.+36")]
    #[case::leading_zero("1.036")]
    #[case::space(" 1.36")]
    #[case::suffix_on_a_series("1.36-rc")]
    #[case::build("1.36.3+k3s1")]
    #[case::path("../1.36.3")]
    fn refuses(#[case] text: &str) {
        let error = text.parse::<Wanted>().expect_err("must not be a version");
        assert_eq!(
            error.to_string(),
            format!("`{text}` is neither a series such as `1.36` nor a version such as `v1.36.3`")
        );
    }

    #[test]
    fn a_series_takes_its_newest_patch_and_no_pre_release() {
        let versions: Vec<Version> = ["1.36.9", "1.36.10", "1.36.11-rc.0", "1.37.0"]
            .iter()
            .map(|text| Version::parse(text).expect("must parse"))
            .collect();
        let newest = |text: &str| {
            text.parse::<Wanted>()
                .expect("must parse")
                .newest(&versions)
                .map(Version::to_string)
        };
        assert_eq!(newest("1.36").as_deref(), Some("1.36.10"));
        assert_eq!(newest("1.36.11-rc.0").as_deref(), Some("1.36.11-rc.0"));
        assert_eq!(newest("1.35"), None);
        assert_eq!(newest("1.36.11"), None);
    }
}
