//! The folder that Docker builds a node from: kind's files, programs, and a few of our own.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::layout::PROGRAMS;
use super::{DOCKERFILE, NodeImageError};
use crate::assets::{Assets, Kit};
use crate::run_folder::RunFolder;

/// What kind's own network does, for one node: a pair of interfaces for each Pod, an address from
/// the first /24 of kind's Pod range (10.244.0.0/16), forgotten when the node restarts.
const NETWORK: &str = include_str!("10-tokenlab.conflist");
const NETWORK_MANIFEST: &str = include_str!("default-cni.yaml");
const STORAGE_MANIFEST: &str = include_str!("default-storage.yaml");

/// All texts in it, for the hash of what it is made of.
pub(super) const TEXTS: [&str; 3] = [NETWORK, NETWORK_MANIFEST, STORAGE_MANIFEST];

#[derive(Debug)]
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
        self.base_files(&kit.base_files)
            .map_err(unreadable(&kit.base_files))??;
        for (name, folder) in PROGRAMS {
            self.program(kit.program(name), folder, name)?;
        }
        self.program(&assets.kubectl, "usr/bin", "kubectl")?;
        self.write("files/kind/version", &format!("v{}", assets.version))?;
        self.write("files/etc/cni/net.d/10-tokenlab.conflist", NETWORK)?;
        self.write("files/kind/manifests/default-cni.yaml", NETWORK_MANIFEST)?;
        self.write(
            "files/kind/manifests/default-storage.yaml",
            STORAGE_MANIFEST,
        )
    }

    /// The outer error is of the reading.
    fn base_files(&self, tar: &Utf8Path) -> io::Result<Result<(), NodeImageError>> {
        for entry in tar::Archive::new(File::open(tar)?).entries()? {
            let mut entry = entry?;
            let inside = Utf8PathBuf::from_path_buf(entry.path()?.into_owned());
            let inside = inside.map_err(|_not_utf8| io::ErrorKind::InvalidData)?;
            let run = entry.header().mode()? & 0o111 != 0;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if let Err(error) = self.put(&Utf8Path::new("files").join(inside), &bytes, run) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// `name`, for a program that somebody named by a variable may be called otherwise.
    fn program(&self, from: &Utf8Path, folder: &str, name: &str) -> Result<(), NodeImageError> {
        let to = self.0.join("files").join(folder).join(name);
        self.make_parent(&to)?;
        // A second name costs nothing; of a link it would be a second link, which leads nowhere in
        // a node. On another file system it must be a copy.
        from.canonicalize_utf8()
            .and_then(|file| std::fs::hard_link(file, &to))
            .or_else(|_another_disk| std::fs::copy(from, &to).map(drop))
            .map_err(wrong(&to))
    }

    fn write(&self, inside: &str, text: &str) -> Result<(), NodeImageError> {
        self.put(Utf8Path::new(inside), text.as_bytes(), false)
    }

    fn put(&self, inside: &Utf8Path, bytes: &[u8], run: bool) -> Result<(), NodeImageError> {
        let path = self.0.join(inside);
        self.make_parent(&path)?;
        let mode = if run { 0o755 } else { 0o644 };
        std::fs::write(&path, bytes)
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
            .map_err(wrong(&path))
    }

    /// Docker copies the modes of folders too: whatever the user's mask, all may enter them. The
    /// context itself is never made anew: who fills it may not know yet that it was given up.
    fn make_parent(&self, path: &Utf8Path) -> Result<(), NodeImageError> {
        let parent = path.parent().unwrap_or(path);
        if parent != self.0 && !parent.exists() {
            self.make_parent(parent)?;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::create_dir(parent)
                .and_then(|()| std::fs::set_permissions(parent, mode))
                .map_err(wrong(parent))?;
        }
        Ok(())
    }
}

fn unreadable(path: &Utf8Path) -> impl FnOnce(io::Error) -> NodeImageError {
    let path = path.to_owned();
    move |source| NodeImageError::Read { path, source }
}

fn wrong(path: &Utf8Path) -> impl FnOnce(io::Error) -> NodeImageError {
    let path = path.to_owned();
    move |source| NodeImageError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_a_link_of_another_name_comes_as_a_file() {
        let folder = RunFolder::create().expect("must be made");
        let (real, link) = (folder.file("kubectl-1.37"), folder.file("my-kubectl"));
        std::fs::write(&real, "kubectl").expect("must be written");
        std::os::unix::fs::symlink("kubectl-1.37", &link).expect("must be made");
        let context = Context::new(&folder).expect("must be made");
        let placed = context.program(&link, "usr/bin", "kubectl");
        placed.expect("must be placed");
        let path = folder.file("context/files/usr/bin/kubectl");
        let data = path.symlink_metadata().expect("must be there");
        assert!(data.is_file());
    }

    #[test]
    fn a_context_that_was_given_up_does_not_come_back() {
        let folder = RunFolder::create().expect("must be made");
        let context = Context::new(&folder).expect("must be made");
        let path = folder.path().to_owned();
        drop(folder);
        context.write("files/a/b", "").expect_err("must be refused");
        assert!(!path.exists());
    }
}
