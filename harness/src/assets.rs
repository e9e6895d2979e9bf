//! Kubernetes' programs: found, downloaded or built.
//!
//! A control plane needs three programs: etcd, kube-apiserver and kubectl. They are looked for in
//! this order, and the first place that has them is taken ([`Source`] says which it was):
//!
//! 1. `TEST_ASSET_ETCD`, `TEST_ASSET_KUBE_APISERVER`, `TEST_ASSET_KUBECTL`: each names one program;
//! 2. `KUBEBUILDER_ASSETS`: a folder that holds them;
//! 3. the store that `setup-envtest` fills too, [`Sources::store`];
//! 4. a download by an envtest index, verified by SHA-512, into that store;
//! 5. a build from Kubernetes' Go modules, into that store.
//!
//! The first two are explicit: what they name must be there, or the search ends with an error. They
//! are taken whatever their version when none was asked for, and passed over when another was.
//! The names and their order are those of controller-runtime's envtest
//! (`pkg/internal/testing/process/bin_path_finder.go`), which does not check that they exist.
//!
//! ```no_run
//! # async fn example() -> Result<(), tokenlab_harness::assets::AssetsError> {
//! use tokenlab_harness::{assets::{Assets, Wanted}, progress::Progress};
//!
//! let assets = Assets::ensure(&Wanted::Default, &Progress::stderr()).await?;
//! println!("{} from {}: {}", assets.version, assets.source, assets.kube_apiserver);
//! # Ok(())
//! # }
//! ```

mod build;
mod claim;
mod download;
mod explicit;
mod go;
mod index;
mod kit;
mod modules;
mod packages;
mod place;
mod program;
mod search;
mod sources;
mod store;
mod transfer;
mod wanted;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;
use serde::Serialize;

pub use self::build::BuildError;
pub use self::download::DownloadError;
pub use self::explicit::ExplicitError;
pub use self::go::GoError;
pub use self::index::IndexError;
pub(crate) use self::kit::{Kit, spoilt};
pub(crate) use self::place::chain;
pub use self::place::{Place, State};
pub use self::program::{Fault, Program, VersionError};
pub use self::search::AssetsError;
pub use self::sources::{Patience, Platform, SettingError, Sources};
pub use self::store::StoreError;
pub use self::transfer::TransferError;
pub use self::wanted::{DEFAULT_SERIES, Wanted, WantedError};

use crate::progress::Progress;

/// Three programs that are there and executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Assets {
    /// The version of [`kube_apiserver`](Self::kube_apiserver), for example `1.37.2`.
    pub version: Version,
    /// Where `kube_apiserver` comes from. The other two come from there as well, unless
    /// `TEST_ASSET_ETCD` or `TEST_ASSET_KUBECTL` names another.
    pub source: Source,
    /// Path of etcd.
    pub etcd: Utf8PathBuf,
    /// Path of kube-apiserver.
    pub kube_apiserver: Utf8PathBuf,
    /// Path of kubectl.
    pub kubectl: Utf8PathBuf,
}

impl Assets {
    /// Finds the programs, and downloads or builds them into the store when no place has them.
    ///
    /// A build takes minutes. Two calls for the same version never do the same work twice, not even
    /// from two processes: the second waits for the first. Dropping the future ends what it started.
    pub async fn ensure(wanted: &Wanted, progress: &Progress) -> Result<Self, AssetsError> {
        Sources::from_env()?.ensure(wanted, progress).await
    }

    /// Finds the programs on this machine: no network, no build. `None` when there are none.
    pub async fn find(wanted: &Wanted) -> Result<Option<Self>, AssetsError> {
        Sources::from_env()?.find(wanted).await
    }

    /// The folder that holds all three, if it is one.
    pub fn folder(&self) -> Option<&Utf8Path> {
        let folder = self.kube_apiserver.parent()?;
        let same = |path: &Utf8Path| path.parent() == Some(folder);
        (same(&self.etcd) && same(&self.kubectl)).then_some(folder)
    }
}

/// Where programs come from, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `TEST_ASSET_ETCD`, `TEST_ASSET_KUBE_APISERVER`, `TEST_ASSET_KUBECTL`.
    Environment,
    /// The folder that `KUBEBUILDER_ASSETS` names.
    KubebuilderAssets,
    /// The store, as `setup-envtest` lays it out.
    Store,
    /// Downloaded by an envtest index.
    Download,
    /// Built from Go modules.
    Build,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Environment => "TEST_ASSET_*",
            Self::KubebuilderAssets => "KUBEBUILDER_ASSETS",
            Self::Store => "store",
            Self::Download => "download",
            Self::Build => "build",
        })
    }
}
