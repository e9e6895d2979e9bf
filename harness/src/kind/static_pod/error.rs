//! Why a manifest is not edited.

/// Why a manifest is not edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not a Pod's.
    #[error("the manifest is not that of a Pod")]
    NotAPod(#[source] Box<serde_saphyr::Error>),
    /// It has no such container.
    #[error("the manifest has no container `{container}`")]
    NoContainer {
        /// What was looked for.
        container: String,
    },
    /// The container has no command line.
    #[error("the manifest's container `{container}` has no command line")]
    NoCommand {
        /// The container.
        container: String,
    },
    /// The flag is there in a form that is not `--flag=value` in one word, once.
    #[error("the manifest has `--{flag}` {how}")]
    Unusual {
        /// The flag, without dashes.
        flag: String,
        /// What is unusual.
        how: &'static str,
    },
    /// The edit would change something else too.
    #[error("the manifest is written in a way that `--{flag}` cannot be changed in alone")]
    Unsure {
        /// The flag, without dashes.
        flag: String,
    },
}

impl ManifestError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unusual { flag, .. } | Self::Unsure { flag } => Some(format!(
                "somebody edited the manifest by hand: write `- --{flag}=…` on a line of its own, or take it out"
            )),
            Self::NotAPod(_) | Self::NoContainer { .. } | Self::NoCommand { .. } => None,
        }
    }
}
