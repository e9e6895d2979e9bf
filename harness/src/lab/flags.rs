//! Other flags for a lab's apiserver, or all as it was.

use std::io;

use super::{Lab, LabError};
use crate::assets::chain;
use crate::cluster::Wired;
use crate::control_plane::ControlPlaneError;

/// Why kube-apiserver does not run with the flags that it was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlagsError {
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
            Self::Unseen(_) => None,
        }
    }
}

impl Lab {
    /// Starts the apiserver anew with these flags (names without dashes; `None` takes one away),
    /// unless it has them already. When it does not come back with them, it is started as it was
    /// before.
    pub async fn set_flags(&mut self, flags: &[(&str, Option<&str>)]) -> Result<Wired, LabError> {
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
