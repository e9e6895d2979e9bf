//! The name of an image, as it is typed and in full.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::IMAGE_NAME;

/// A repository and a tag, such as `pwk/authn-webhook:v0.1` or `localhost:5000/authn:v2`; without
/// a tag it is `latest`.
///
/// The rules are those of `docker` and the kubelet (`distribution/reference`, `normalize.go`): a
/// first part with a dot or a colon, or `localhost`, is a registry; without one it is
/// `docker.io`, and a name of one part lies below `library`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageName {
    registry: Option<String>,
    path: String,
    tag: String,
}

/// What is wrong with the name of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// A digest is known only once the image is built.
    #[error("a digest does not name what is yet to be built; give a tag, such as `:v0.1`")]
    Digest,
    /// The tag breaks the rules.
    #[error("its tag is not 1 to 128 letters, digits, `_`, `.` and `-`")]
    Tag,
    /// The registry breaks the rules.
    #[error("its registry is not a host name or address with or without a port")]
    Registry,
    /// The path breaks the rules.
    #[error(
        "each part of its path must be lower-case letters and digits, joined by `.`, `_`, `__` or `-`"
    )]
    Path,
    /// A registry takes 255 characters, without tag.
    #[error("it has more than 255 characters")]
    TooLong,
}

/// `distribution/reference`, `reference.go`: `RepositoryNameTotalLengthMax`.
const LONGEST: usize = 255;

impl ImageName {
    /// The registry, where one is named.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The last part of its path: `authn-webhook`.
    pub fn base(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The name that containerd and so the kubelet know it by:
    /// `docker.io/pwk/authn-webhook:v0.1`.
    pub fn in_full(&self) -> String {
        let Self {
            registry,
            path,
            tag,
        } = self;
        // The second is the old name of the first (`normalize.go`: `legacyDefaultDomain`).
        let registry = match registry.as_deref() {
            None | Some("index.docker.io") => "docker.io",
            Some(registry) => registry,
        };
        let library = if registry == "docker.io" && !path.contains('/') {
            "library/"
        } else {
            ""
        };
        format!("{registry}/{library}{path}:{tag}")
    }
}

impl Default for ImageName {
    /// The tutorial's.
    fn default() -> Self {
        IMAGE_NAME.parse().expect("must be a name")
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}:{}", self.path, self.tag)
    }
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, ImageNameError> {
        if text.contains('@') {
            return Err(ImageNameError::Digest);
        }
        // A colon before the last slash belongs to a registry's port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        if !is_tag(tag) {
            return Err(ImageNameError::Tag);
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (Some(first.to_owned()), rest)
            }
            _ => (None, name),
        };
        if !registry.as_deref().is_none_or(is_registry) {
            return Err(ImageNameError::Registry);
        }
        if !path.split('/').all(is_part) {
            return Err(ImageNameError::Path);
        }
        if name.len() > LONGEST {
            return Err(ImageNameError::TooLong);
        }
        Ok(Self {
            registry,
            path: path.to_owned(),
            tag: tag.to_owned(),
        })
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let label = |label: &str| {
        let mut ends = label.starts_with('-') || label.ends_with('-');
        ends |= label.is_empty();
        !ends && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (address || host.split('.').all(label)) && port.is_none_or(is_port)
}

/// Not `parse` alone: it takes `+80`.
fn is_port(port: &str) -> bool {
    port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, as in `distribution/reference`, `regexp.go`.
fn is_part(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joints = part.split(plain).filter(|joint| !joint.is_empty());
    part.starts_with(plain)
        && part.ends_with(plain)
        && joints
            .into_iter()
            .all(|joint| matches!(joint, "." | "_" | "__") || joint.chars().all(|c| c == '-'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_tutorials("pwk/authn-webhook:v0.1", "docker.io/pwk/authn-webhook:v0.1")]
    #[case::one_part("authn", "docker.io/library/authn:latest")]
    #[case::docker_hub("docker.io/authn:1", "docker.io/library/authn:1")]
    #[case::docker_hubs_old_name("index.docker.io/authn:1", "docker.io/library/authn:1")]
    #[case::port("localhost:5000/authn", "localhost:5000/authn:latest")]
    #[case::port_and_tag(
        "10.0.0.1:5000/a/b_c__d--e.f:A_1.x-",
        "10.0.0.1:5000/a/b_c__d--e.f:A_1.x-"
    )]
    #[case::address("[::1]:5000/authn:v1", "[::1]:5000/authn:v1")]
    #[case::localhost("localhost/authn:v1", "localhost/authn:v1")]
    fn names_have_a_full_form(#[case] text: &str, #[case] full: &str) {
        let name: ImageName = text.parse().expect("must be a name");
        assert_eq!(name.in_full(), full);
        // What is shown is what was typed, less the default tag.
        assert!(name.to_string().starts_with(text), "{name}");
        assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[rstest]
    #[case::nothing("", ImageNameError::Path)]
    #[case::upper_case("pwk/Authn:v1", ImageNameError::Path)]
    #[case::blank("pwk/authn webhook", ImageNameError::Path)]
    #[case::empty_part("pwk//authn", ImageNameError::Path)]
    #[case::three_underscores("a___b", ImageNameError::Path)]
    #[case::mixed_joint("a._b", ImageNameError::Path)]
    #[case::joint_at_the_end("authn-", ImageNameError::Path)]
    #[case::no_tag("pwk/authn:", ImageNameError::Tag)]
    #[case::tag_with_a_dot_first("pwk/authn:.1", ImageNameError::Tag)]
    #[case::digest("authn@sha256:00", ImageNameError::Digest)]
    #[case::port("localhost:99999/authn", ImageNameError::Registry)]
    #[case::signed_port("localhost:+80/authn", ImageNameError::Registry)]
    #[case::host("-x.example/authn", ImageNameError::Registry)]
    fn what_no_engine_takes_is_refused(#[case] text: &str, #[case] error: ImageNameError) {
        assert_eq!(text.parse::<ImageName>(), Err(error));
    }

    #[test]
    fn lengths_have_an_end() {
        let tag = |length: usize| format!("a:{}", "x".repeat(length)).parse::<ImageName>();
        tag(128).expect("must be a name");
        assert_eq!(tag(129), Err(ImageNameError::Tag));
        let path = |length: usize| "x".repeat(length).parse::<ImageName>();
        path(255).expect("must be a name");
        assert_eq!(path(256), Err(ImageNameError::TooLong));
    }
}
