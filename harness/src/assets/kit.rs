//! What a node of kind is made of, beside the programs of a control plane: all from Go modules.
//!
//! Each part is a folder of its own in the store's `.tokenlab/kit`, and is got once: what a kill
//! interrupts goes on with the part that was under way.

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::build::{BuildError, Target, staging, stamps};
use super::claim::{Claim, Goods};
use super::go::Go;
use super::modules::{self, KUBERNETES};
use super::store::{Store, StoreError, unwritable};
use super::{Sources, go, program};
use crate::progress::Progress;

/// The module of kind, a program itself.
const KIND: &str = "sigs.k8s.io/kind";
/// The newest in November 2026.
const KIND_VERSION: &str = "v0.33.0";

/// The oldest kind that is taken from `PATH`.
pub(crate) const OLDEST_KIND: Version = Version::new(0, 27, 0);

/// The first process of a Pod: it sleeps, and reaps what is left to it. As Kubernetes' own
/// (kubernetes, `build/pause/linux/pause.c`), in the one language that there is a compiler for.
const PAUSE: &str = include_str!("kit/pause.go");

/// The programs of a node, and the files that kind lays over Debian.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    /// Of each program the path; its file name is what it is called.
    pub(crate) programs: Vec<Utf8PathBuf>,
    /// kind's `images/base/files`.
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

/// One module, and which of its programs are taken.
#[derive(Clone, Copy, Debug)]
struct Part {
    name: &'static str,
    module: &'static str,
    version: &'static str,
    /// Their packages, below the module.
    packages: &'static [&'static str],
}

const CONTAINERD: Part = Part {
    name: "containerd",
    module: "github.com/containerd/containerd/v2",
    version: "v2.3.4",
    packages: &["cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"],
};
const CRI_TOOLS: Part = Part {
    name: "cri-tools",
    module: "sigs.k8s.io/cri-tools",
    version: "v1.37.0",
    packages: &["cmd/crictl"],
};
const CNI_PLUGINS: Part = Part {
    name: "cni-plugins",
    module: "github.com/containernetworking/plugins",
    version: "v1.9.1",
    packages: &[
        "plugins/ipam/host-local",
        "plugins/main/loopback",
        "plugins/main/ptp",
        "plugins/meta/portmap",
    ],
};
const COREDNS: Part = Part {
    name: "coredns",
    module: "github.com/coredns/coredns",
    version: "v1.14.6",
    packages: &[""],
};
const KIND_PROGRAM: Part = Part {
    name: "kind",
    module: KIND,
    version: KIND_VERSION,
    packages: &[""],
};

/// Kubernetes' programs of a node, of whichever version: kubelet takes longest.
const KUBERNETES_PROGRAMS: [&str; 5] = [
    "kubeadm",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
];

impl Part {
    fn programs(&self) -> Vec<&'static str> {
        let last = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
        let named = |package: &&'static str| match last(package) {
            "" => last(self.module),
            name => name,
        };
        self.packages.iter().map(named).collect()
    }

    fn target(&self) -> Target {
        let package = |package: &&str| match *package {
            "" => self.module.to_owned(),
            package => format!("{}/{package}", self.module),
        };
        Target {
            title: format!("{} {}", self.name, self.version.trim_start_matches('v')),
            module: self.module,
            version: self.version.to_owned(),
            staging: None,
            packages: self.packages.iter().map(package).collect(),
            output: String::new(),
            stamps: String::new(),
        }
    }
}

fn kubernetes(version: &Version) -> Target {
    let package = |program| format!("{KUBERNETES}/cmd/{program}");
    Target {
        title: format!("the node's programs of Kubernetes {version}"),
        module: KUBERNETES,
        version: format!("v{version}"),
        staging: Some(staging(version)),
        packages: KUBERNETES_PROGRAMS.map(package).to_vec(),
        output: String::new(),
        stamps: stamps(version),
    }
}

impl Sources {
    /// The programs of a node, found in the store or built into it.
    pub(crate) async fn kit(
        &self,
        version: &Version,
        progress: &Progress,
    ) -> Result<Kit, BuildError> {
        let name = format!("kubernetes-node-{version}");
        let kubernetes = kubernetes(version);
        let mut programs = self
            .part(&name, &KUBERNETES_PROGRAMS, &kubernetes, progress)
            .await?;
        for part in [CONTAINERD, CRI_TOOLS, CNI_PLUGINS, COREDNS] {
            programs.extend(self.known_part(part, progress).await?);
        }
        programs.extend(self.pause(progress).await?);
        Ok(Kit {
            programs,
            base_files: self.kind_files(progress).await?,
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
        let mut programs = self.known_part(KIND_PROGRAM, progress).await?;
        Ok(programs.remove(0))
    }

    async fn known_part(
        &self,
        part: Part,
        progress: &Progress,
    ) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let name = format!("{}-{}", part.name, part.version.trim_start_matches('v'));
        let programs = part.programs();
        self.part(&name, &programs, &part.target(), progress).await
    }

    async fn part(
        &self,
        name: &str,
        programs: &[&'static str],
        target: &Target,
        progress: &Progress,
    ) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let goods = self.goods(name, &target.title, programs);
        if let Some(there) = there(&goods) {
            return Ok(there);
        }
        let claim = self.claim(&goods, progress).await?;
        if let Some(there) = there(&goods) {
            return Ok(there);
        }
        let workspace = claim.workspace()?;
        let mut go = Go::new(&self.go, &self.platform, &workspace.path, claim.log())?;
        let target = Target {
            output: format!("{}/", workspace.programs),
            ..target.clone()
        };
        target.build(&mut go, &workspace, progress).await?;
        claim.install(&workspace)?;
        Ok(paths(&goods))
    }

    async fn pause(&self, progress: &Progress) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let goods = self.goods("pause-1", "pause", &["pause"]);
        if let Some(there) = there(&goods) {
            return Ok(there);
        }
        let claim = self.claim(&goods, progress).await?;
        let workspace = claim.workspace()?;
        let mut go = Go::new(&self.go, &self.platform, &workspace.path, claim.log())?;
        for (name, text) in [("go.mod", modules::EMPTY), ("pause.go", PAUSE)] {
            let path = workspace.path.join(name);
            std::fs::write(&path, text).map_err(unwritable(&path))?;
        }
        let output = workspace.programs.join("pause");
        let args = [
            "build",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
            output.as_str(),
            ".",
        ];
        go.run(&args, |_| {}).await?;
        claim.install(&workspace)?;
        Ok(paths(&goods))
    }

    /// The files that kind lays over Debian come with its module.
    async fn kind_files(&self, progress: &Progress) -> Result<Utf8PathBuf, BuildError> {
        let folder = tempfile::tempdir().map_err(unwritable(Utf8Path::new("TMPDIR")))?;
        let path = Utf8Path::from_path(folder.path()).unwrap_or(Utf8Path::new("/"));
        let mut go = Go::new(&self.go, &self.platform, path, path.join("log"))?;
        let title = format!("getting the node's base files of kind {KIND_VERSION}");
        let module = progress
            .step(&title, modules::folder(&mut go, KIND, KIND_VERSION))
            .await?;
        Ok(module.join("images/base/files"))
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

    async fn claim(&self, goods: &Goods, progress: &Progress) -> Result<Claim, BuildError> {
        let store = Store::new(&self.store, &self.platform);
        let claim = Claim::take(store, goods.clone(), self.patience.lock, progress).await?;
        let parent = goods.folder.parent().unwrap_or(&goods.folder);
        std::fs::create_dir_all(parent).map_err(unwritable(parent))?;
        Ok(claim)
    }
}

/// Anything else that takes long to get: a file beside the kit.
impl Sources {
    /// The file, when the store has it.
    pub(crate) fn shelf(&self, name: &str, file: &'static str) -> Option<Utf8PathBuf> {
        there(&self.goods(name, "", &[file]))?.pop()
    }

    /// Has the file made: `make` gets a folder to work in, and the path to write to. Whoever
    /// makes the same at the same time is waited for, and what it made is taken.
    pub(crate) async fn fill_shelf<E: From<BuildError> + From<StoreError>>(
        &self,
        name: &str,
        title: &str,
        file: &'static str,
        progress: &Progress,
        make: impl AsyncFnOnce(&Utf8Path, &Utf8Path) -> Result<(), E>,
    ) -> Result<Utf8PathBuf, E> {
        let goods = self.goods(name, title, &[file]);
        let claim = self.claim(&goods, progress).await?;
        if let Some(there) = self.shelf(name, file) {
            return Ok(there);
        }
        let workspace = claim.workspace()?;
        make(&workspace.path, &workspace.programs.join(file)).await?;
        claim.install(&workspace)?;
        Ok(goods.folder.join(file))
    }
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
    fn a_part_knows_what_its_programs_are_called() {
        assert_eq!(
            CONTAINERD.programs(),
            ["containerd", "containerd-shim-runc-v2", "ctr"]
        );
        assert_eq!(COREDNS.programs(), ["coredns"]);
        assert_eq!(COREDNS.target().packages, ["github.com/coredns/coredns"]);
        assert_eq!(
            CRI_TOOLS.target().packages,
            ["sigs.k8s.io/cri-tools/cmd/crictl"]
        );
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
