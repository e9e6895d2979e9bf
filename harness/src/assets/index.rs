//! The envtest index: which archives there are, where, and their hashes.

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;
use url::Url;

use super::{Platform, Wanted};

/// An index, as far as it can be used.
#[derive(Debug)]
pub(super) struct Index {
    address: Url,
    releases: BTreeMap<Version, BTreeMap<String, Entry>>,
}

/// `envtest-releases.yaml`: version → name of the archive → the archive
/// (controller-runtime, `pkg/envtest/binaries.go`).
#[derive(Debug, Deserialize)]
struct Document {
    releases: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    /// SHA-512 in hexadecimal digits.
    hash: String,
    /// Where the archive is, absolute or relative to the index.
    #[serde(rename = "selfLink")]
    link: String,
}

/// An archive to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) version: Version,
    pub(super) address: Url,
    /// SHA-512 in lower-case hexadecimal digits.
    pub(super) hash: String,
}

/// Why an index names no archive.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is no index.
    #[error("the index is unreadable")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It has no such version.
    #[error("the index has no {wanted}, but {}", super::build::list(has))]
    NoVersion {
        /// What was asked for.
        wanted: Wanted,
        /// What it has for this platform.
        has: Vec<Version>,
    },
    /// It has the version, but for other machines.
    #[error("the index has {version} for {}, not for {platform}", has.join(", "))]
    NoPlatform {
        /// The newest version that was asked for.
        version: Version,
        /// This platform.
        platform: Platform,
        /// The names of its archives.
        has: Vec<String>,
    },
    /// The address of an archive is malformed.
    #[error("the index has the malformed address `{link}`")]
    Link {
        /// The address.
        link: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
}

impl IndexError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable(_) | Self::Link { .. } => {
                "set LAB_ENVTEST_INDEX to the address of an index like controller-tools' envtest-releases.yaml".to_owned()
            }
            Self::NoVersion { .. } | Self::NoPlatform { .. } => {
                "ask for a version that it has, or set LAB_ENVTEST_INDEX to an index that has this one".to_owned()
            }
        })
    }
}

impl Index {
    /// Reads the index that was fetched from `address`. Entries whose version is none are left out.
    pub(super) fn read(address: Url, text: &str) -> Result<Self, IndexError> {
        let document: Document = serde_saphyr::from_str(text)
            .map_err(|error| IndexError::Unreadable(Box::new(error)))?;
        let releases = document
            .releases
            .into_iter()
            .filter_map(|(version, archives)| {
                Some((
                    Version::parse(version.strip_prefix('v').unwrap_or(&version)).ok()?,
                    archives,
                ))
            })
            .collect();
        Ok(Self { address, releases })
    }

    /// The versions that it has for a platform.
    pub(super) fn versions(&self, platform: &Platform) -> Vec<Version> {
        let has = self
            .releases
            .iter()
            .filter(|(version, archives)| archives.contains_key(&name(version, platform)));
        has.map(|(version, _)| version.clone()).collect()
    }

    /// The archive of the newest version that is wanted.
    pub(super) fn choose(
        &self,
        wanted: &Wanted,
        platform: &Platform,
    ) -> Result<Archive, IndexError> {
        let versions = self.versions(platform);
        let Some(version) = wanted.newest(&versions) else {
            return Err(match wanted.newest(self.releases.keys()) {
                None => IndexError::NoVersion {
                    wanted: wanted.clone(),
                    has: versions,
                },
                Some(version) => IndexError::NoPlatform {
                    version: version.clone(),
                    platform: platform.clone(),
                    has: self.releases[version].keys().cloned().collect(),
                },
            });
        };
        let Entry { hash, link } = &self.releases[version][&name(version, platform)];
        let address = self.address.join(link).map_err(|source| IndexError::Link {
            link: link.clone(),
            source,
        })?;
        Ok(Archive {
            version: version.clone(),
            address,
            hash: hash.trim().to_ascii_lowercase(),
        })
    }
}

/// `envtest-v1.36.2-linux-amd64.tar.gz`.
fn name(version: &Version, platform: &Platform) -> String {
    format!("envtest-v{version}-{platform}.tar.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
releases:
  v1.36.1:
    envtest-v1.36.1-linux-amd64.tar.gz: {hash: AB, selfLink: https://example.org/1.36.1.tar.gz}
  v1.36.2:
    envtest-v1.36.2-linux-amd64.tar.gz: {hash: CD, selfLink: mirror/1.36.2.tar.gz}
  v1.36.3:
    envtest-v1.36.3-darwin-arm64.tar.gz: {hash: EF, selfLink: x}
  v1.37.0-rc.0:
    envtest-v1.37.0-rc.0-linux-amd64.tar.gz: {hash: EF, selfLink: x}
  v1.38.0:
    envtest-v1.38.0-darwin-arm64.tar.gz: {hash: EF, selfLink: x}
  nightly: {}
";

    fn choose(wanted: &str) -> Result<Archive, IndexError> {
        let address = Url::parse("https://example.com/a/index.yaml").expect("must parse");
        let platform = Platform {
            os: "linux".to_owned(),
            arch: "amd64".to_owned(),
        };
        Index::read(address, TEXT)
            .expect("must be readable")
            .choose(&wanted.parse().expect("must parse"), &platform)
    }

    #[test]
    fn the_newest_patch_that_the_platform_has_is_chosen() {
        let archive = choose("1.36").expect("must be there");
        assert_eq!(archive.version, Version::new(1, 36, 2));
        assert_eq!(
            archive.address.as_str(),
            "https://example.com/a/mirror/1.36.2.tar.gz"
        );
        assert_eq!(archive.hash, "cd");
    }

    #[test]
    fn an_absolute_address_stands() {
        assert_eq!(
            choose("1.36.1").expect("must be there").address.as_str(),
            "https://example.org/1.36.1.tar.gz"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = |wanted| choose(wanted).expect_err("must be missing").to_string();
        assert_eq!(
            text("1.37"),
            "the index has no 1.37, but 1.36.1, 1.36.2, 1.37.0-rc.0"
        );
        assert_eq!(
            text("1.38"),
            "the index has 1.38.0 for envtest-v1.38.0-darwin-arm64.tar.gz, not for linux-amd64"
        );
    }
}
