//! Why a lab is not found, or its name not given.

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::{Found, Standing};
use crate::named::name::LabName;
use crate::strays::StrayError;

/// Why a lab is not found, or its name not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nobody knows where this user's files are.
    #[error("the folder of labs is not known: neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
    /// The path has other characters.
    #[error("the folder of labs `{path}` is not UTF-8")]
    NotUtf8 {
        /// The path, as far as it can be shown.
        path: String,
    },
    /// The folder is another user's.
    #[error("the folder of labs `{folder}` belongs to another user (uid {uid})")]
    Foreign {
        /// The folder.
        folder: Utf8PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Others may write to the folder.
    #[error("the folder of labs `{folder}` may be written by others")]
    Open {
        /// The folder.
        folder: Utf8PathBuf,
    },
    /// The folder cannot be read.
    #[error("the folder of labs `{folder}` could not be read")]
    Unreadable {
        /// The folder.
        folder: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it cannot be written.
    #[error("`{path}` could not be written")]
    Unwritable {
        /// The file or folder.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name is taken.
    #[error("there is a lab `{}` already: {}", .0.name, taken(.0))]
    Taken(Box<Found>),
    /// There is no lab of this name.
    #[error("there is no lab `{name}`{}", but(others))]
    Unknown {
        /// The name.
        name: LabName,
        /// Those that there are.
        others: Vec<LabName>,
    },
    /// A lab is meant, and none runs.
    #[error("no lab runs")]
    None,
    /// One lab is meant, and there are several.
    #[error("there are several labs: {}", list(names))]
    Several {
        /// Their names.
        names: Vec<LabName>,
    },
    /// The name goes from hand to hand.
    #[error("the name `{name}` was taken and left by others again and again")]
    Contested {
        /// The name.
        name: LabName,
    },
    /// Somebody may own it whom nobody here can ask.
    #[error("the lab `{name}` is not ended: {why}")]
    Owned {
        /// The name.
        name: LabName,
        /// Who that is.
        why: String,
        /// Its entry.
        entry: Utf8PathBuf,
    },
    /// Something of it could not be taken away.
    #[error("not all of the lab `{name}` is gone")]
    Left {
        /// The name.
        name: LabName,
        /// What, and why.
        source: StrayError,
        /// Whether the name is free all the same.
        free: bool,
    },
    /// What its guardian takes away is not gone yet.
    #[error("what is left of the lab `{name}` is not gone after {waited:.0?}")]
    NotGone {
        /// The name.
        name: LabName,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl RegistryError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoHome | Self::NotUtf8 { .. } => {
                Some("set XDG_STATE_HOME to a folder of yours".to_owned())
            }
            Self::Foreign { .. } => Some(
                "each user has labs of their own: run this as that user, or set XDG_STATE_HOME to \
                 a folder of yours"
                    .to_owned(),
            ),
            Self::Open { folder } => Some(format!("`chmod go-w {folder}`, if all in it is yours")),
            Self::Contested { .. } => Some("run it again, or take another name".to_owned()),
            Self::Owned { name, entry, .. } => Some(format!(
                "`tokenlab down {name}` there, or by the version that started it, ends it; delete \
                 `{entry}` if there is no such lab any more"
            )),
            Self::Left { free: true, .. } => Some(
                "look at it, and delete it if it is of no use; the lab's name is free".to_owned(),
            ),
            Self::Left { name, .. } => Some(format!("then run `tokenlab down {name}` again")),
            Self::Unreadable { source, .. } | Self::Unwritable { source, .. } => {
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        Some("free some space, or set XDG_STATE_HOME to another disk".to_owned())
                    }
                    io::ErrorKind::PermissionDenied => Some(
                        "it may be another user's, and each user has labs of their own: set \
                         XDG_STATE_HOME to a folder of yours"
                            .to_owned(),
                    ),
                    _ => Some("set XDG_STATE_HOME to a folder that you may write to".to_owned()),
                }
            }
            Self::Taken(found) => {
                let name = &found.name;
                Some(format!(
                    "`tokenlab status {name}` shows it, `tokenlab down {name}` ends it; another \
                     name gives another lab: `tokenlab up NAME`"
                ))
            }
            Self::Unknown { .. } => Some("`tokenlab list` shows those that there are".to_owned()),
            Self::None => Some("`tokenlab up` starts one".to_owned()),
            Self::Several { .. } => Some("say which: `--lab NAME`, or LAB_NAME".to_owned()),
            Self::NotGone { name, .. } => {
                Some(format!("`tokenlab down {name}` ends what is left of it"))
            }
        }
    }
}

fn taken(found: &Found) -> String {
    let how = match found.standing {
        Standing::Starting => "it is being started",
        Standing::Running => "it runs",
        Standing::Ending => "it is being ended",
        Standing::BeforeBoot | Standing::Lost => "what is left of it",
        Standing::Elsewhere => "it may run on another machine",
    };
    match &found.record {
        Some(record) => format!("{how}, on {}, for {}", record.backend, record.age()),
        None => how.to_owned(),
    }
}

fn but(others: &[LabName]) -> String {
    match others {
        [] => String::new(),
        [one] => format!("; there is `{one}`"),
        others => format!("; there are {}", list(others)),
    }
}

fn list(names: &[LabName]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match &*names {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}
