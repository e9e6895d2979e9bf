//! Kubernetes' programs: the real ones, and stand-ins that fail as real ones do.

use camino::Utf8Path;
use tokenlab_harness::assets::{Assets, Sources, Wanted};
use tokenlab_harness::progress::Progress;
use tokio::sync::OnceCell;

#[path = "../../src/stand_in.rs"]
mod stand_in;

pub(crate) use stand_in::stand_in;

/// The version that is tested: `LAB_KUBERNETES`, or the default.
pub(crate) fn wanted() -> Wanted {
    Wanted::from_env().expect("LAB_KUBERNETES must be a version")
}

/// The real ones. Found, downloaded or built before an owner is started that needs them.
pub(crate) async fn real() -> &'static Assets {
    static ASSETS: OnceCell<Assets> = OnceCell::const_new();
    ASSETS
        .get_or_init(async || {
            Assets::ensure(&wanted(), &Progress::stderr())
                .await
                .unwrap_or_else(|error| panic!("{error}"))
        })
        .await
}

/// An etcd that does all that the harness waits for: it makes the socket's file.
pub(crate) const LISTENS: &str = ": >etcd.sock:0; exec sleep 1000";

/// A kube-apiserver that tells its version, and then does this.
pub(crate) fn apiserver(script: &str) -> String {
    format!("[ \"$1\" != --version ] || {{ echo Kubernetes v1.37.0; exit; }}\n{script}")
}

/// These scripts for etcd and kube-apiserver, found by the search as any other programs.
pub(crate) async fn stand_ins(folder: &Utf8Path, etcd: &str, kube_apiserver: &str) -> Assets {
    let mut sources = Sources::new(folder.join("store"));
    sources.etcd = Some(stand_in(&folder.join("etcd"), etcd));
    let script = apiserver(kube_apiserver);
    sources.kube_apiserver = Some(stand_in(&folder.join("kube-apiserver"), &script));
    sources.kubectl = Some(stand_in(&folder.join("kubectl"), "exit 9"));
    sources
        .ensure(&Wanted::Default, &Progress::hidden())
        .await
        .expect("the stand-ins must be found")
}
