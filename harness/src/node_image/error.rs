//! Why there is no node image.

use std::io;

use camino::Utf8PathBuf;

use super::debian::{MIRROR, SUITE};
use crate::assets::{AssetsError, BuildError, SettingError, StoreError};
use crate::docker::DockerError;
use crate::run_folder::RunFolderError;
use crate::tool::ToolError;

/// Why there is no node image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeImageError {
    /// Docker cannot be used.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The control plane's programs were not to be had.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// The node's programs were not to be had.
    #[error(transparent)]
    Kit(#[from] BuildError),
    /// The store cannot be filled.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Only root can unpack Debian's packages.
    #[error("only root can make a node image: debootstrap unpacks a whole Debian")]
    NotRoot,
    /// It is not known where Debian's packages can be got.
    #[error("this machine's apt names no mirror of Debian")]
    NoMirror,
    /// A program failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file that goes into the image could not be read.
    #[error("`{path}` could not be read")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the store is not what was put there.
    #[error("`{path}` is not what was built: the disk or somebody has changed it since")]
    Spoilt {
        /// The file.
        path: Utf8PathBuf,
        /// Its folder.
        folder: Utf8PathBuf,
    },
    /// A file of the image could not be written.
    #[error("`{path}` could not be written")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder to work in could not be made.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// kubeadm does not tell which images it wants.
    #[error("kubeadm names no image of {what}: {said}")]
    NoImage {
        /// What it is an image of.
        what: &'static str,
        /// What it said.
        said: String,
    },
    /// containerd has not what it was given.
    #[error("the image lacks {missing} after all was imported")]
    Incomplete {
        /// The name of the image that is not in it.
        missing: String,
    },
    /// There is no such node image.
    #[error("there is no node image `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
}

impl From<SettingError> for NodeImageError {
    fn from(error: SettingError) -> Self {
        Self::Assets(error.into())
    }
}

impl NodeImageError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Docker(error) => error.hint(),
            Self::Assets(error) => error.hint(),
            Self::Kit(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Folder(error) => error.hint(),
            Self::NotRoot => Some(
                "run it as root once (`sudo env \"PATH=$PATH\" tokenlab node-image build`), into its own store; using the image needs no root".to_owned(),
            ),
            Self::NoMirror => Some(format!(
                "set {MIRROR} to the address of a mirror that has Debian {SUITE}, or run `apt-get update` where apt is set up for one"
            )),
            Self::Tool(ToolError::Missing { name: "debootstrap" }) => Some(
                "install debootstrap (`apt-get install debootstrap`); it is in Fedora, Arch and Alpine too".to_owned(),
            ),
            Self::Tool(ToolError::Missing { name }) => Some(format!("install `{name}`")),
            Self::Tool(error) => of_tool(error.said()),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, or set TMPDIR to a folder on another disk: 3 GB are needed".to_owned())
            }
            Self::Unknown { .. } => Some("`tokenlab node-image list` shows those that there are".to_owned()),
            Self::Spoilt { folder, .. } => {
                Some(format!("remove its folder (`rm -r {folder}`): it is built anew"))
            }
            Self::Read { .. } | Self::Write { .. } | Self::NoImage { .. } | Self::Incomplete { .. } => None,
        }
    }
}

/// The texts are those of debootstrap and of the kernel.
fn of_tool(said: &str) -> Option<String> {
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if says(&["No space left on device"]) {
        Some(
            "free some space: 3 GB are needed in the store (XDG_DATA_HOME) and in TMPDIR"
                .to_owned(),
        )
    } else if says(&[
        "Failed getting release file",
        "Couldn't download",
        "Invalid Release file",
    ]) {
        Some(format!(
            "set {MIRROR} to a mirror that this machine reaches and that has Debian {SUITE}; http_proxy is honoured"
        ))
    } else if says(&["Release signed by unknown key", "keyring"]) {
        Some("install Debian's keys (`apt-get install debian-archive-keyring`)".to_owned())
    } else {
        None
    }
}
