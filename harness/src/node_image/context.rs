//! The folder that Docker builds a node from: kind's files, programs, and a few of our own.

use std::io;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::{DOCKERFILE, NodeImageError};
use crate::assets::{Assets, Kit};
use crate::run_folder::RunFolder;

const NETWORK: &str = include_str!("10-tokenlab.conflist");
const NETWORK_MANIFEST: &str = include_str!("default-cni.yaml");
const STORAGE_MANIFEST: &str = include_str!("default-storage.yaml");

/// All texts in it, and what puts the image together, for the hash of what it is made of.
pub(super) const TEXTS: &str = concat!(
    include_str!("10-tokenlab.conflist"),
    include_str!("default-cni.yaml"),
    include_str!("default-storage.yaml"),
    include_str!("context.rs"),
    include_str!("archive.rs"),
    include_str!("build.rs"),
);

/// Where each program of the kit lies in a node; those of the control plane lie in images.
const PROGRAMS: [(&str, &str); 10] = [
    ("kubeadm", "usr/bin"),
    ("kubelet", "usr/bin"),
    ("containerd", "usr/local/bin"),
    ("containerd-shim-runc-v2", "usr/local/bin"),
    ("ctr", "usr/local/bin"),
    ("crictl", "usr/local/bin"),
    ("host-local", "opt/cni/bin"),
    ("loopback", "opt/cni/bin"),
    ("ptp", "opt/cni/bin"),
    ("portmap", "opt/cni/bin"),
];

pub(super) struct Context(Utf8PathBuf);

impl Context {
    pub(super) fn new(folder: &RunFolder) -> Result<Self, NodeImageError> {
        Ok(Self(folder.folder("context")?))
    }

    pub(super) fn path(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn fill(&self, assets: &Assets, kit: &Kit) -> Result<(), NodeImageError> {
        self.write("Dockerfile", DOCKERFILE)?;
        self.base_files(&kit.base_files)?;
        for (name, folder) in PROGRAMS {
            self.program(kit.program(name), folder)?;
        }
        self.program(&assets.kubectl, "usr/bin")?;
        self.write("files/kind/version", &format!("v{}", assets.version))?;
        self.write("files/etc/cni/net.d/10-tokenlab.conflist", NETWORK)?;
        self.write("files/kind/manifests/default-cni.yaml", NETWORK_MANIFEST)?;
        self.write(
            "files/kind/manifests/default-storage.yaml",
            STORAGE_MANIFEST,
        )
    }

    /// Go's module cache has no modes: what lies in a `bin` is run.
    fn base_files(&self, from: &Utf8Path) -> Result<(), NodeImageError> {
        let mut folders = vec![from.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = folder.read_dir_utf8().map_err(wrong(&folder))?;
            for entry in entries {
                let path = entry.map_err(wrong(&folder))?.into_path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let inside = path.strip_prefix(from).unwrap_or(&path);
                let text = std::fs::read(&path).map_err(wrong(&path))?;
                let run = inside.parent().and_then(Utf8Path::file_name) == Some("bin");
                self.put(&Utf8Path::new("files").join(inside), &text, run)?;
            }
        }
        Ok(())
    }

    fn program(&self, from: &Utf8Path, folder: &str) -> Result<(), NodeImageError> {
        let name = from.file_name().unwrap_or_default();
        let to = self.0.join("files").join(folder).join(name);
        make_parent(&to)?;
        // A second name costs nothing; on another file system it must be a copy.
        std::fs::hard_link(from, &to)
            .or_else(|_another_disk| std::fs::copy(from, &to).map(drop))
            .map_err(wrong(&to))
    }

    fn write(&self, inside: &str, text: &str) -> Result<(), NodeImageError> {
        self.put(Utf8Path::new(inside), text.as_bytes(), false)
    }

    fn put(&self, inside: &Utf8Path, bytes: &[u8], run: bool) -> Result<(), NodeImageError> {
        let path = self.0.join(inside);
        make_parent(&path)?;
        let mode = if run { 0o755 } else { 0o644 };
        std::fs::write(&path, bytes)
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
            .map_err(wrong(&path))
    }
}

/// Docker copies the modes of folders too: whatever the user's mask, all may enter them.
fn make_parent(path: &Utf8Path) -> Result<(), NodeImageError> {
    let parent = path.parent().unwrap_or(path);
    if !parent.exists() {
        make_parent(parent)?;
        std::fs::create_dir(parent)
            .and_then(|()| std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o755)))
            .map_err(wrong(parent))?;
    }
    Ok(())
}

fn wrong(path: &Utf8Path) -> impl FnOnce(io::Error) -> NodeImageError {
    let path = path.to_owned();
    move |source| NodeImageError::Write { path, source }
}
