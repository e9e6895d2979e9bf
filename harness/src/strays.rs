//! What lost its owner: after `kill -9` of a guardian together with its owner, a reboot, or a version
//! of this program that had a fault.
//!
//! Nothing is touched that has a living owner, or of which nobody can tell. Each run folder names its
//! owner (see [`Owner`]), as does all that is made in the container engine. What
//! an older version left names none: a guardian that runs then speaks for a living owner.

mod engine;
mod folders;
mod processes;
mod verdict;

use std::fmt;

use camino::Utf8Path;
use serde::Serialize;

pub(crate) use engine::remove_cluster;
use processes::Processes;
pub use verdict::Verdict;

use crate::owner::Owner;

/// Something that nobody may own any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Stray {
    /// What it is.
    pub kind: Kind,
    /// Its path, name or number.
    pub name: String,
    /// What is to become of it.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// The process, or whom the run folder names: looked at again before it is taken away.
    #[serde(skip)]
    identity: Option<Owner>,
}

/// What a stray is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// What a lab has started: an etcd, a kube-apiserver, a webhook.
    Process,
    /// A container.
    Container,
    /// A network of the container engine.
    Network,
    /// An image that one lab loaded for itself.
    Image,
    /// A run folder.
    RunFolder,
    /// A container engine that could not be asked: nobody knows what is there.
    Engine,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Process => "process",
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Image => "image",
            Kind::RunFolder => "run folder",
            Kind::Engine => "container engine",
        };
        write!(f, "{kind} {} ({})", self.name, self.why)
    }
}

/// Looks for them: of this user, on this machine, in this folder for temporary files.
pub async fn find() -> Vec<Stray> {
    let processes = Processes::look();
    let temporary = std::env::temp_dir();
    let temporary = Utf8Path::from_path(&temporary).unwrap_or(Utf8Path::new("/tmp"));
    let mut found = folders::strays(temporary, &processes);
    found.extend(processes.strays(&folders::all(temporary)));
    // Of those that name an owner nothing is asked; of the others any guardian speaks.
    let guardian = processes.guardian_of_none_of(&folders::living_owners(temporary), None);
    found.extend(engine::strays(guardian).await);
    // What writes goes before what it writes to; a network when nothing is attached to it.
    found.sort_by_key(|stray| stray.kind);
    found
}

impl Stray {
    /// Takes it away.
    pub async fn remove(&self) -> Result<(), StrayError> {
        match self.kind {
            Kind::Process => match &self.identity {
                Some(process) => processes::kill(process).await,
                None => Ok(()),
            },
            Kind::RunFolder => {
                folders::remove(Utf8Path::new(&self.name), self.identity.as_ref()).await
            }
            // There is nothing to take away.
            Kind::Engine => Ok(()),
            Kind::Container | Kind::Network | Kind::Image => {
                engine::remove(self.kind, &self.name).await
            }
        }
    }
}

/// Why a stray is still there.
#[derive(Debug, thiserror::Error)]
#[error("{what} could not be removed: {why}")]
pub struct StrayError {
    what: String,
    why: String,
}

/// Ends what a lab of this owner, which is gone, has started, and deletes its run folder, unless that
/// is kept. What is at this path and is not its run folder is left, which is an error.
pub(crate) async fn end_folder(folder: &Utf8Path, owner: &Owner) -> Result<(), StrayError> {
    if folders::is_gone(folder) {
        return Ok(());
    }
    if let Some(mistaken) = folders::mistaken(folder, Some(owner)) {
        return Err(mistaken);
    }
    for process in Processes::look().started_in(folder) {
        processes::kill(&process).await?;
    }
    if folders::is_kept(folder) {
        return Ok(());
    }
    folders::remove(folder, Some(owner)).await
}
