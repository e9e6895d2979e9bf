//! What lost its owner: after `kill -9` of a guardian together with its owner, a reboot, or a version
//! of this program that had a fault.
//!
//! Nothing is touched that has a living owner, or of which nobody can tell. Each run folder names its
//! owner (see [`Owner`](crate::named::Owner)), as does all that is made in the container engine. What
//! an older version left names none: a guardian that runs then speaks for a living owner.

mod engine;
mod folders;
mod processes;

use std::fmt;

use camino::Utf8Path;
use serde::Serialize;

use engine::Engine;
pub(crate) use engine::remove_cluster;
use processes::Processes;

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
}

/// What a stray is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// An etcd or kube-apiserver.
    Process,
    /// A container.
    Container,
    /// A network of the container engine.
    Network,
    /// An image that one lab loaded for itself.
    Image,
    /// A run folder.
    RunFolder,
}

/// What is to become of a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its owner is gone: it goes.
    Lost,
    /// It was kept on purpose: it goes when that is asked for.
    Kept,
    /// Somebody may own it: it stays.
    Unclear,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Process => "process",
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Image => "image",
            Kind::RunFolder => "run folder",
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
    found.extend(processes.strays());
    if let Some(engine) = Engine::find().await {
        // Of those that name an owner nothing is asked; of the others any guardian speaks.
        let guardian = processes.guardian_of_none_of(&folders::living_owners(temporary), None);
        found.extend(engine.strays(guardian).await);
    }
    // What writes goes before what it writes to; a network when nothing is attached to it.
    found.sort_by_key(|stray| stray.kind);
    found
}

impl Stray {
    /// Takes it away.
    pub async fn remove(&self) -> Result<(), StrayError> {
        match self.kind {
            Kind::Process => processes::kill(&self.name).await,
            Kind::RunFolder => folders::remove(Utf8Path::new(&self.name)).await,
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

/// Ends what works in a run folder whose owner is gone, and removes it, unless it is kept.
pub(crate) async fn end_folder(folder: &Utf8Path) {
    if folders::owner(folder).is_some_and(|owner| owner.lives()) {
        return;
    }
    for pid in Processes::look().working_in(folder) {
        let _ = processes::kill(&pid.to_string()).await;
    }
    if !folders::is_kept(folder) {
        let _ = folders::remove(folder).await;
    }
}
