//! Debian's packages, as one tar in the store: what a node has below Kubernetes.

use camino::{Utf8Path, Utf8PathBuf};

use super::error::NodeImageError;
use crate::assets::Sources;
use crate::digest::sha256;
use crate::progress::Progress;
use crate::tool::Tool;

/// The environment variable that names the mirror; by default it is that of this machine's apt.
pub(super) const MIRROR: &str = "LAB_DEBIAN_MIRROR";

/// Its systemd 252 still boots on a host with cgroup v1; that of the next one does not.
pub(super) const SUITE: &str = "bookworm";

/// What kind's own node has (kind, `images/base/Dockerfile`), without what only storage tests
/// need; and runc, which kind builds.
pub(super) const PACKAGES: &str = "systemd,systemd-sysv,conntrack,iptables,nftables,iproute2,\
    ethtool,util-linux,mount,kmod,libseccomp2,pigz,ca-certificates,curl,jq,procps,bash,socat,runc";

/// What no node needs: it would be copied for each.
const UNNEEDED: [&str; 8] = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "etc/apt/sources.list",
    "etc/machine-id",
];

const ARCHIVE: &str = "root.tar";

/// Debian's tar, or what makes it.
#[derive(Debug)]
pub(super) enum Debian {
    /// The store has it.
    There(DebianTar),
    /// It is to be made, and nothing that this takes is missing.
    ToMake(Box<Debootstrap>),
}

/// Debian's tar in the store.
#[derive(Clone, Debug)]
pub(super) struct DebianTar {
    pub(super) path: Utf8PathBuf,
    /// Names what it was made of.
    pub(super) made_of: String,
}

/// The programs that make it, and where its packages come from.
#[derive(Debug)]
pub(super) struct Debootstrap {
    script: Tool,
    unshare: Tool,
    tar: Tool,
    mirror: String,
}

impl Debian {
    /// Looks for it, and else for all that is needed to make it. Cheap: it comes before anything
    /// that takes minutes.
    pub(super) async fn find(sources: &Sources) -> Result<Self, NodeImageError> {
        if let Some(path) = sources.shelf(&name(), ARCHIVE) {
            return Ok(Self::There(DebianTar::at(path, sources)));
        }
        if !nix::unistd::geteuid().is_root() {
            return Err(NodeImageError::NotRoot);
        }
        Ok(Self::ToMake(Box::new(Debootstrap {
            script: Tool::find("debootstrap")?,
            unshare: Tool::find("unshare")?,
            tar: Tool::find("tar")?,
            mirror: mirror().await?,
        })))
    }

    /// The tar, made if need be.
    pub(super) async fn tar(
        self,
        sources: &Sources,
        progress: &Progress,
    ) -> Result<DebianTar, NodeImageError> {
        let by = match self {
            Self::There(tar) => return Ok(tar),
            Self::ToMake(by) => by,
        };
        let (name, title) = (name(), format!("Debian {SUITE}"));
        let make =
            async |workspace: &Utf8Path, tar: &Utf8Path| by.make(workspace, tar, progress).await;
        let path = sources.fill_shelf(&name, &title, ARCHIVE, progress, make);
        Ok(DebianTar::at(path.await?, sources))
    }
}

impl DebianTar {
    fn at(path: Utf8PathBuf, sources: &Sources) -> Self {
        let made_of = format!("{}-{}", name(), sources.platform);
        Self { path, made_of }
    }
}

/// By what it is made of.
fn name() -> String {
    let key = &sha256(format!("{SUITE} {PACKAGES} {UNNEEDED:?}").as_bytes())[..12];
    format!("debian-{SUITE}-{key}")
}

impl Debootstrap {
    async fn make(
        &self,
        workspace: &Utf8Path,
        archive: &Utf8Path,
        progress: &Progress,
    ) -> Result<(), NodeImageError> {
        let root = workspace.join("root");
        let include = format!("--include={PACKAGES}");
        // In a mount namespace of its own: what debootstrap mounts goes with it.
        let args = [
            "--mount",
            self.script.program().as_str(),
            "--variant=minbase",
            &include,
            SUITE,
            root.as_str(),
            &self.mirror,
        ];
        let title = format!("getting Debian {SUITE} by debootstrap");
        progress.step(&title, self.unshare.run(&args)).await?;
        let excluded = UNNEEDED.map(|path| format!("--exclude=./{path}"));
        let mut args = vec!["--directory", root.as_str(), "--numeric-owner"];
        args.extend(excluded.iter().map(String::as_str));
        args.extend(["--sort=name", "--create", "--file", archive.as_str(), "."]);
        let title = format!("packing Debian {SUITE}");
        progress.step(&title, self.tar.run(&args)).await?;
        Ok(())
    }
}

/// Where this machine gets Debian's packages from.
async fn mirror() -> Result<String, NodeImageError> {
    if let Ok(mirror) = std::env::var(MIRROR)
        && !mirror.is_empty()
    {
        return Ok(mirror);
    }
    let apt = Tool::find("apt-get").map_err(|_missing| NodeImageError::NoMirror)?;
    let format = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)";
    let args = ["indextargets", "--format", format, "Created-By: Packages"];
    mirror_of(&apt.run(&args).await?).ok_or(NodeImageError::NoMirror)
}

/// The first archive that calls itself Debian's main one; that of security updates has another
/// label.
fn mirror_of(targets: &str) -> Option<String> {
    let mut addresses = targets
        .lines()
        .filter_map(|line| line.strip_prefix("Debian|Debian|main|"));
    addresses.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_debians_main_archive() {
        let targets = "Vendor|Vendor|main|https://packages.example.org/\n\
                       Debian|Debian-Security|main|http://security.example.org/debian/\n\
                       Debian|Debian|contrib|http://contrib.example.org/debian/\n\
                       Debian|Debian|main|http://mirror.example.org/debian/\n";
        let mirror = mirror_of(targets);
        assert_eq!(mirror.as_deref(), Some("http://mirror.example.org/debian/"));
        assert_eq!(
            mirror_of("Ubuntu|Ubuntu|main|http://ubuntu.example.org/"),
            None
        );
    }
}
