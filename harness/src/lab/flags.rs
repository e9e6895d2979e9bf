//! Other flags for a lab's apiserver, or all as it was.

use std::io;

use super::{Lab, LabError};
use crate::assets::chain;
use crate::cluster::Wired;
use crate::control_plane::ControlPlaneError;

/// The flags that a running lab keeps: by the first ones it finds its kube-apiserver, by the last one
/// that finds etcd. With others it would run, and nobody would reach it.
pub const KEPT_FLAGS: [&str; 7] = [
    "bind-address",
    "secure-port",
    "permit-port-sharing",
    "tls-cert-file",
    "tls-private-key-file",
    "client-ca-file",
    "etcd-servers",
];

/// Refuses flags that a lab keeps.
pub(crate) fn check<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), FlagsError> {
    let mut names = names.into_iter();
    match names.find(|name| KEPT_FLAGS.contains(name)) {
        Some(name) => Err(FlagsError::Kept(name.to_owned())),
        None => Ok(()),
    }
}

/// Why kube-apiserver does not run with the flags that it was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlagsError {
    /// The lab needs it as it is ([`KEPT_FLAGS`]).
    #[error(
        "`--{0}` stays as it is: without it the lab would not find its kube-apiserver, or that etcd"
    )]
    Kept(String),
    /// It did not come back with them, and runs as before.
    #[error("kube-apiserver did not come back with the new flags, so all is as it was")]
    RolledBack(#[source] Box<ControlPlaneError>),
    /// It did not come back as before either.
    #[error("kube-apiserver did not come back with the new flags, nor with the old ones: {after}")]
    NotBack {
        /// What it did after that.
        after: String,
        /// What it did with the new flags.
        source: Box<ControlPlaneError>,
    },
    /// The system does not tell what runs.
    #[error("the command line of kube-apiserver could not be read")]
    Unseen(#[source] io::Error),
}

impl FlagsError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::RolledBack(source) | Self::NotBack { source, .. } => {
                Some(source.hint().unwrap_or_else(|| {
                    "the lines above are kube-apiserver's own: it ends when it does not know a \
                     flag, or when a file that one names is missing or not what it should be"
                        .to_owned()
                }))
            }
            Self::Kept(_) => Some(
                "the lab chooses it; its kubeconfig says where the apiserver listens".to_owned(),
            ),
            Self::Unseen(_) => None,
        }
    }
}

impl Lab {
    /// Starts the apiserver anew with these flags (names without dashes; `None` takes one away),
    /// unless it has them already. When it does not come back with them, it is started as it was
    /// before.
    pub async fn set_flags(&mut self, flags: &[(&str, Option<&str>)]) -> Result<Wired, LabError> {
        check(flags.iter().map(|(name, _)| *name))?;
        let plane = &mut self.control_plane;
        let before = plane.flags().clone();
        let mut after = before.clone();
        for (name, value) in flags {
            match value {
                Some(value) => after.set((*name).to_owned(), *value),
                None => after.unset(name),
            };
        }
        if after == before {
            return Ok(Wired::Already);
        }
        let Err(error) = plane.restart(|set| *set = after).await else {
            return Ok(Wired::Changed);
        };
        let source = Box::new(error);
        Err(match plane.restart(|set| *set = before).await {
            Ok(()) => FlagsError::RolledBack(source).into(),
            Err(error) => FlagsError::NotBack {
                after: chain(&error),
                source,
            }
            .into(),
        })
    }

    /// The flags of the running apiserver, `--name=value` each, as the system tells them.
    pub fn running_flags(&self) -> Result<Vec<String>, LabError> {
        let args = self.control_plane.running_args();
        Ok(args.map_err(FlagsError::Unseen)?)
    }
}
