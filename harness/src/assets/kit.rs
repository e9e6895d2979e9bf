//! What a node of kind is made of, beside the programs of a control plane: all from Go modules.
//!
//! Each part is a folder of its own in the store's `.tokenlab/kit`, and is got once: what a kill
//! interrupts goes on with the part that was under way, whose packages Go keeps in its own cache.

mod part;
mod sums;

use std::fs::File;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::build::{BuildError, Target};
use super::claim::{Claim, Goods, Workspace};
use super::go::Go;
use super::store::{Store, StoreError, unwritable};
use super::{Sources, go, modules, program};
use crate::progress::Progress;
use part::{KIND, KIND_PROGRAM, KIND_VERSION, KUBERNETES_PROGRAMS, OF_A_NODE, Part, kubernetes};

pub(crate) use sums::spoilt;

/// The oldest kind that is taken from `PATH`.
pub(crate) const OLDEST_KIND: Version = Version::new(0, 27, 0);

/// The first process of a Pod: it sleeps, and reaps what is left to it. As Kubernetes' own
/// (kubernetes, `build/pause/linux/pause.c`), in the one language that there is a compiler for.
const PAUSE: &str = include_str!("kit/pause.go");

/// The file with what kind lays over Debian.
const BASE_TAR: &str = "files.tar";

/// The programs of a node, and the files that kind lays over Debian.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    /// Of each program the path; its file name is what it is called.
    pub(crate) programs: Vec<Utf8PathBuf>,
    /// A tar of the files that kind lays over Debian (its `images/base/files`).
    pub(crate) base_files: Utf8PathBuf,
}

impl Kit {
    /// The path of a program.
    ///
    /// # Panics
    /// When the kit has no such program.
    pub(crate) fn program(&self, name: &str) -> &Utf8Path {
        let found = self
            .programs
            .iter()
            .find(|path| path.file_name() == Some(name));
        found.unwrap_or_else(|| panic!("`{name}` must be one of the kit's programs"))
    }
}

impl Sources {
    /// Fails when something of the kit must be built, and there is no Go.
    pub(crate) fn check_kit(&self) -> Result<(), BuildError> {
        let whole = |part: Part| there(&self.goods(&part.folder(), "", &part.programs())).is_some();
        if !OF_A_NODE.into_iter().all(whole) || self.shelf(&base_files(), BASE_TAR).is_none() {
            go::locate(&self.go)?;
        }
        Ok(())
    }

    /// The programs of a node, found in the store or built into it.
    pub(crate) async fn kit(
        &self,
        version: &Version,
        progress: &Progress,
    ) -> Result<Kit, BuildError> {
        let name = format!("kubernetes-node-{version}");
        let target = kubernetes(version);
        let goods = self.goods(&name, &target.title, &KUBERNETES_PROGRAMS);
        let mut programs = self.built(goods, &target, progress).await?;
        for part in OF_A_NODE {
            programs.extend(self.part(part, progress).await?);
        }
        programs.push(self.pause(progress).await?);
        let base_files = self.base_files(progress).await?;
        Ok(Kit {
            programs,
            base_files,
        })
    }

    /// kind: the one on `PATH` when it is new enough, else built.
    pub async fn kind(&self, progress: &Progress) -> Result<Utf8PathBuf, BuildError> {
        if let Ok(path) = go::locate(Utf8Path::new("kind"))
            && let Some(version) = kind_version(&path).await
        {
            if version >= OLDEST_KIND {
                return Ok(path);
            }
            progress.note(&format!(
                "`{path}` is kind {version}, older than {OLDEST_KIND}: another is built"
            ));
        }
        let mut programs = self.part(KIND_PROGRAM, progress).await?;
        Ok(programs.remove(0))
    }

    async fn part(&self, part: Part, progress: &Progress) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let target = part.target();
        let goods = self.goods(&part.folder(), &target.title, &part.programs());
        self.built(goods, &target, progress).await
    }

    /// The programs of a target, built when they are not there.
    async fn built(
        &self,
        goods: Goods,
        target: &Target,
        progress: &Progress,
    ) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let make = async |claim: &Claim, workspace: &Workspace| {
            let mut go = Go::new(&self.go, &self.platform, &workspace.path, claim.log())?;
            let target = Target {
                output: format!("{}/", workspace.programs),
                ..target.clone()
            };
            target.build(&mut go, workspace, progress).await
        };
        self.filled(goods, progress, make).await
    }

    /// The first process of a Pod: a second's work of the Go compiler.
    pub(crate) async fn pause(&self, progress: &Progress) -> Result<Utf8PathBuf, BuildError> {
        let goods = self.goods("pause-1", "pause", &["pause"]);
        let path = goods.folder.join("pause");
        let make = async |claim: &Claim, workspace: &Workspace| {
            let mut go = Go::new(&self.go, &self.platform, &workspace.path, claim.log())?;
            for (name, text) in [("go.mod", modules::EMPTY), ("pause.go", PAUSE)] {
                let path = workspace.path.join(name);
                std::fs::write(&path, text).map_err(unwritable(&path))?;
            }
            let output = workspace.programs.join("pause");
            let flags = ["build", "-trimpath", "-ldflags=-s -w", "-o"];
            let args = [&flags[..], &[output.as_str(), "."]].concat();
            let build = go.run(&args, |_| {});
            progress.step("building pause", build).await?;
            Ok::<_, BuildError>(())
        };
        self.filled(goods, progress, make).await?;
        Ok(path)
    }

    /// The files that kind lays over Debian come with its module. As a tar in the store they need
    /// neither Go nor its module cache a second time, nor where that lies.
    async fn base_files(&self, progress: &Progress) -> Result<Utf8PathBuf, BuildError> {
        let title = format!("the node's base files of kind {KIND_VERSION}");
        let make = async |workspace: &Utf8Path, tar: &Utf8Path| {
            let mut go = Go::new(&self.go, &self.platform, workspace, workspace.join("log"))?;
            let module = modules::folder(&mut go, KIND, KIND_VERSION);
            let module = progress.step(&format!("getting {title}"), module).await?;
            let from = module.join("images/base/files");
            Ok::<_, BuildError>(pack(&from, tar).map_err(unwritable(tar))?)
        };
        self.fill_shelf(&base_files(), &title, BASE_TAR, progress, make)
            .await
    }

    /// A folder below the store's `.tokenlab/kit`, as something to fill.
    fn goods(&self, name: &str, title: &str, programs: &[&'static str]) -> Goods {
        let name = format!("{name}-{}", self.platform);
        Goods {
            folder: self.store.join(".tokenlab/kit").join(&name),
            name,
            title: title.to_owned(),
            programs: programs.to_vec(),
        }
    }

    /// The right to make node images, of which one is made at a time. It ends with the value.
    pub(crate) async fn claim_node_images(
        &self,
        progress: &Progress,
    ) -> Result<impl Sized + use<>, StoreError> {
        let goods = Goods {
            name: "node-image".to_owned(),
            title: "a node image".to_owned(),
            folder: self.store.clone(),
            programs: Vec::new(),
        };
        let store = Store::new(&self.store, &self.platform);
        Claim::take(store, goods, self.patience.lock, progress).await
    }

    /// The paths of the goods, made when they are not all there. Whoever makes the same at the
    /// same time is waited for, and what it made is taken.
    async fn filled<E: From<StoreError>>(
        &self,
        goods: Goods,
        progress: &Progress,
        make: impl AsyncFnOnce(&Claim, &Workspace) -> Result<(), E>,
    ) -> Result<Vec<Utf8PathBuf>, E> {
        if let Some(there) = there(&goods) {
            return Ok(there);
        }
        let store = Store::new(&self.store, &self.platform);
        let claim = Claim::take(store, goods.clone(), self.patience.lock, progress).await?;
        if let Some(there) = there(&goods) {
            return Ok(there);
        }
        let parent = goods.folder.parent().unwrap_or(&goods.folder);
        std::fs::create_dir_all(parent).map_err(unwritable(parent))?;
        let workspace = claim.workspace()?;
        make(&claim, &workspace).await?;
        sums::note(&workspace.programs, &goods.programs)?;
        claim.install(&workspace)?;
        sums::settle(&workspace.programs, &goods.folder)?;
        Ok(paths(&goods))
    }
}

/// Anything else that takes long to get: a file beside the kit.
impl Sources {
    /// The file, when the store has it.
    pub(crate) fn shelf(&self, name: &str, file: &'static str) -> Option<Utf8PathBuf> {
        there(&self.goods(name, "", &[file]))?.pop()
    }

    /// Has the file made: `make` gets a folder to work in, and the path to write to.
    pub(crate) async fn fill_shelf<E: From<StoreError>>(
        &self,
        name: &str,
        title: &str,
        file: &'static str,
        progress: &Progress,
        make: impl AsyncFnOnce(&Utf8Path, &Utf8Path) -> Result<(), E>,
    ) -> Result<Utf8PathBuf, E> {
        let make = async |_: &Claim, workspace: &Workspace| {
            make(&workspace.path, &workspace.programs.join(file)).await
        };
        let goods = self.goods(name, title, &[file]);
        let mut paths = self.filled(goods, progress, make).await?;
        Ok(paths.remove(0))
    }
}

/// Packs a folder, the same files to the same bytes. Go's module cache has no modes: what lies in
/// a `bin` is run.
fn pack(folder: &Utf8Path, tar: &Utf8Path) -> io::Result<()> {
    let mut builder = tar::Builder::new(File::create(tar)?);
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8()? {
            let path = entry?.into_path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    for path in files {
        let bytes = std::fs::read(&path)?;
        let inside = path.strip_prefix(folder).unwrap_or(&path);
        let run = inside.parent().and_then(Utf8Path::file_name) == Some("bin");
        let mut header = tar::Header::new_ustar();
        header.set_mode(if run { 0o755 } else { 0o644 });
        header.set_size(bytes.len() as u64);
        header.set_mtime(0);
        builder.append_data(&mut header, inside, &*bytes)?;
    }
    builder.into_inner()?.sync_all()
}

/// Where the store keeps the files that kind lays over Debian.
fn base_files() -> String {
    format!("kind-base-files-{}", KIND_VERSION.trim_start_matches('v'))
}

/// The paths of its programs, when all are there.
fn there(goods: &Goods) -> Option<Vec<Utf8PathBuf>> {
    let paths = paths(goods);
    let usable = |path: &Utf8PathBuf| program::check(path).is_ok();
    paths.iter().all(usable).then_some(paths)
}

fn paths(goods: &Goods) -> Vec<Utf8PathBuf> {
    let path = |program: &&str| goods.folder.join(program);
    goods.programs.iter().map(path).collect()
}

/// `kind version` prints `kind v0.33.0 go1.26.0 linux/amd64`.
async fn kind_version(path: &Utf8Path) -> Option<Version> {
    let output = tokio::process::Command::new(path)
        .arg("version")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let within = std::time::Duration::from_secs(10);
    let output = tokio::time::timeout(within, output).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    parse_kind_version(&text)
}

fn parse_kind_version(text: &str) -> Option<Version> {
    let word = text.split_whitespace().nth(1)?;
    Version::parse(word.strip_prefix('v')?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_bin_is_run() {
        let temporary = tempfile::tempdir().expect("must be made");
        let root = Utf8Path::from_path(temporary.path()).expect("must be UTF-8");
        let (from, tar) = (root.join("files"), root.join("files.tar"));
        for (folder, file) in [("etc", "a.conf"), ("kind/bin", "b.sh")] {
            let folder = from.join(folder);
            std::fs::create_dir_all(&folder).expect("must be made");
            std::fs::write(folder.join(file), file).expect("must be written");
        }
        pack(&from, &tar).expect("must be packed");
        let mut tar = tar::Archive::new(File::open(&tar).expect("must be there"));
        let entries = tar.entries().expect("must be read").map(|entry| {
            let entry = entry.expect("must be read");
            let path = entry.path().expect("must be a path").display().to_string();
            (path, entry.header().mode().expect("must be a number"))
        });
        let expected = [("etc/a.conf", 0o644), ("kind/bin/b.sh", 0o755)];
        let expected = expected.map(|(path, mode)| (path.to_owned(), mode));
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_version_of_kind_is_read() {
        let read = parse_kind_version("kind v0.33.0 go1.26.0 linux/amd64\n");
        assert_eq!(read, Some(Version::new(0, 33, 0)));
        let alpha = parse_kind_version("kind v0.27.0-alpha+1 go1.23 linux/amd64");
        assert!(alpha.is_some_and(|version| version < OLDEST_KIND));
        assert_eq!(parse_kind_version("unknown command"), None);
    }
}
