//! Debian's packages, as one tar in the store: what a node has below Kubernetes.

use std::os::unix::fs::MetadataExt as _;

use camino::Utf8PathBuf;

use super::archive::digest;
use super::error::NodeImageError;
use crate::assets::Sources;
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

/// The tar with Debian, found in the store or made by debootstrap.
pub(super) async fn root(
    sources: &Sources,
    progress: &Progress,
) -> Result<Utf8PathBuf, NodeImageError> {
    let key = &digest(format!("{SUITE} {PACKAGES} {UNNEEDED:?}").as_bytes())[..12];
    let name = format!("debian-{SUITE}-{key}");
    if let Some(tar) = sources.shelf(&name, ARCHIVE) {
        return Ok(tar);
    }
    let debootstrap = Tool::find("debootstrap")?;
    let unshare = Tool::find("unshare")?;
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
        return Err(NodeImageError::NotRoot);
    }
    let mirror = mirror().await?;
    let title = format!("Debian {SUITE}");
    let shelved = sources.fill_shelf(&name, &title, ARCHIVE, progress, async |workspace, tar| {
        let root = workspace.join("root");
        let include = format!("--include={PACKAGES}");
        // In a mount namespace of its own: what debootstrap mounts goes with it.
        let args = [
            "--mount",
            debootstrap.program().as_str(),
            "--variant=minbase",
            &include,
            SUITE,
            root.as_str(),
            &mirror,
        ];
        let title = format!("getting Debian {SUITE} by debootstrap");
        progress.step(&title, unshare.run(&args)).await?;
        let excluded = UNNEEDED.map(|path| format!("--exclude=./{path}"));
        let mut args = vec!["--directory", root.as_str(), "--numeric-owner"];
        args.extend(excluded.iter().map(String::as_str));
        args.extend(["--sort=name", "--create", "--file", tar.as_str(), "."]);
        let title = format!("packing Debian {SUITE}");
        progress.step(&title, Tool::find("tar")?.run(&args)).await?;
        Ok(())
    });
    shelved.await
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
