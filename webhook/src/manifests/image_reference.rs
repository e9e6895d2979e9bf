//! The image that is run: by its name, or by what is in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ImageName, ImageNameError};

/// `NAME[:TAG][@sha256:…]`. With a digest it is that very image, whatever the tag names by now; the
/// tag is then for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReference {
    name: ImageName,
    digest: Option<String>,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageReferenceError {
    /// Its name breaks the rules.
    #[error(transparent)]
    Name(#[from] ImageNameError),
    /// Registries have others, of which no engine makes any.
    #[error("its digest is not `sha256:` and 64 lower-case hexadecimal digits")]
    Digest,
}

impl ImageReference {
    /// Its name.
    pub fn name(&self) -> &ImageName {
        &self.name
    }
}

impl From<ImageName> for ImageReference {
    fn from(name: ImageName) -> Self {
        Self { name, digest: None }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.to_string();
        match &self.digest {
            None => f.write_str(&name),
            // Nobody typed it, and it would say nothing.
            Some(digest) => {
                let name = name.strip_suffix(":latest").unwrap_or(&name);
                write!(f, "{name}@{digest}")
            }
        }
    }
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        let Some((name, digest)) = text.split_once('@') else {
            return Ok(text.parse::<ImageName>()?.into());
        };
        let hex = digest.strip_prefix("sha256:");
        let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        if !hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex)) {
            return Err(ImageReferenceError::Digest);
        }
        Ok(Self {
            name: name.parse()?,
            digest: Some(digest.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_tag("registry.example/authn:v1", "")]
    #[case::a_digest("registry.example/authn", "@")]
    #[case::both("localhost:5000/authn:v1", "@")]
    fn it_is_shown_as_it_was_typed(#[case] name: &str, #[case] at: &str) {
        let digest = if at.is_empty() {
            String::new()
        } else {
            format!("@sha256:{}", "0f".repeat(32))
        };
        let text = format!("{name}{digest}");
        let image: ImageReference = text.parse().expect("must be an image");
        assert_eq!(image.to_string(), text);
        assert_eq!(image.name().base(), "authn");
    }

    #[rstest]
    #[case::short("authn@sha256:00")]
    #[case::upper_case(&format!("authn@sha256:{}", "0F".repeat(32)))]
    #[case::another(&format!("authn@md5:{}", "0f".repeat(32)))]
    #[case::nothing("authn@")]
    #[case::two(&format!("authn@sha256:{0}@sha256:{0}", "0f".repeat(32)))]
    fn no_other_digest_is_taken(#[case] text: &str) {
        let error = text.parse::<ImageReference>();
        assert_eq!(error, Err(ImageReferenceError::Digest));
    }
}
