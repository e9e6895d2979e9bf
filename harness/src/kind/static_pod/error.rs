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
    #[error("the manifest is written in a way that `{what}` cannot be changed in alone")]
    Unsure {
        /// The flag with its dashes, or a field.
        what: String,
    },
    /// It has other names for the Pod's `/etc/hosts`.
    #[error("the manifest has `hostAliases` of its own, without `{name}`")]
    HostAliases {
        /// The name that was to be added.
        name: String,
    },
    /// It is not in the host's network.
    #[error("the manifest has no `hostNetwork: true`")]
    NoHostNetwork,
}

impl ManifestError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unusual { flag, .. } => Some(format!(
                "somebody edited the manifest by hand: write `- --{flag}=…` on a line of its own, or take it out"
            )),
            Self::Unsure { .. } => Some(
                "somebody edited the manifest by hand: write it as kubeadm does, one entry a line"
                    .to_owned(),
            ),
            Self::HostAliases { name } => Some(format!(
                "add `{name}` to them by hand, or take `--reach cluster-ip`"
            )),
            Self::NotAPod(_)
            | Self::NoContainer { .. }
            | Self::NoCommand { .. }
            | Self::NoHostNetwork => None,
        }
    }
}
