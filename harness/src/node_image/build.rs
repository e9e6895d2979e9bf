//! The steps of a build, each of which finds what an earlier build left.

use camino::Utf8Path;

use super::archive::{self, Image};
use super::context::Context;
use super::debian::DebianTar;
use super::layout::{Contained, IMAGES, RUNS};
use super::{
    INPUTS, KUBE_PROXY_FILES, NODE_BASE, NODE_IMAGE, NodeImage, NodeImageBuilt, NodeImageError,
    PRELOAD, blocking,
};
use crate::assets::{Assets, Kit, Sources};
use crate::docker::{Docker, LABEL};
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::tool::{Input, Tool};

/// Where the script for kube-proxy leaves its tar.
const KUBE_PROXY_TAR: &str = "/var/tmp/kube-proxy.tar";

/// Everything that a build needs to know.
pub(super) struct Build<'a> {
    pub(super) name: String,
    pub(super) inputs: String,
    pub(super) docker: Docker,
    pub(super) assets: &'a Assets,
    pub(super) kit: &'a Kit,
    pub(super) debian: &'a DebianTar,
    pub(super) sources: &'a Sources,
    pub(super) progress: &'a Progress,
}

/// The names of the control plane's images, as this version's kubeadm wants them.
#[derive(Clone, Debug)]
struct Names(String);

impl Build<'_> {
    /// One at a time: each removes what no name leads to, and the base that it has used, which
    /// another may be working on.
    pub(super) async fn run(self) -> Result<NodeImageBuilt, NodeImageError> {
        let mut cached = self.is_there().await?;
        if !cached {
            let _claim = self.sources.claim_node_images(self.progress).await?;
            // Whoever was waited for may have made it.
            cached = self.is_there().await?;
            if !cached {
                self.make().await?;
            }
        }
        Ok(NodeImageBuilt {
            name: self.name,
            inputs: self.inputs,
            cached,
        })
    }

    async fn make(&self) -> Result<(), NodeImageError> {
        let docker = &self.docker;
        let names = self.names().await?;
        let folder = RunFolder::create()?;
        let debian = self.debian().await?;
        let base = self.base(&folder, &debian, &names).await?;
        self.node(&folder, &base, &names).await?;
        // It has served; as layers of the node it stays.
        let _ = docker.run(&["image", "rm", &base]).await;
        Ok(NodeImage::prune(docker).await?)
    }

    async fn is_there(&self) -> Result<bool, NodeImageError> {
        let made_of = self.docker.image_label(&self.name, INPUTS).await?;
        Ok(made_of.as_deref() == Some(&self.inputs))
    }

    async fn names(&self) -> Result<Names, NodeImageError> {
        let kubeadm = Tool::at("kubeadm", self.kit.program("kubeadm").to_owned());
        let version = format!("v{}", self.assets.version);
        let args = [
            "config",
            "images",
            "list",
            "--kubernetes-version",
            &version,
            "--image-repository",
            "registry.k8s.io",
        ];
        Ok(Names(kubeadm.run(&args).await?))
    }

    /// Debian as an image to build on.
    async fn debian(&self) -> Result<String, NodeImageError> {
        let name = format!("tokenlab/debian:{}", self.debian.made_of);
        if self.docker.image_label(&name, LABEL).await?.is_none() {
            let label = format!("LABEL {LABEL}={NODE_BASE}");
            let args = [
                "import",
                "--change",
                &label,
                self.debian.path.as_str(),
                &name,
            ];
            let import = self.docker.run(&args);
            self.progress
                .step("importing Debian into Docker", import)
                .await?;
        }
        Ok(name)
    }

    /// A node without images in it.
    async fn base(
        &self,
        folder: &RunFolder,
        debian: &str,
        names: &Names,
    ) -> Result<String, NodeImageError> {
        let name = format!("tokenlab/node-base:{}", self.inputs);
        if self.docker.image_label(&name, LABEL).await?.is_some() {
            return Ok(name);
        }
        let context = Context::new(folder)?;
        let path = context.path().to_owned();
        let (assets, kit) = (self.assets.clone(), self.kit.clone());
        blocking(move || context.fill(&assets, &kit)).await?;
        let (base, pause) = (
            format!("BASE={debian}"),
            format!("PAUSE={}", names.of("pause")?),
        );
        let label = format!("{LABEL}={NODE_BASE}");
        let mut args = vec!["build", "--network=none", "--label", &label, "--tag", &name];
        args.extend(["--build-arg", &base, "--build-arg", &pause]);
        let mut docker = self.docker.tool().clone();
        if docker.run(&["buildx", "version"]).await.is_err() {
            // Docker's program insists on buildx, and its engine can do without. That one leaves
            // the container of a step that was interrupted, unless it is told not to.
            docker = docker.env("DOCKER_BUILDKIT", "0");
            args.push("--force-rm");
        }
        args.push(&path);
        let title = format!("building the node of Kubernetes {}", self.assets.version);
        let build = async { Ok::<_, NodeImageError>(docker.run(&args).await?) };
        self.progress.step(&title, build).await?;
        Ok(name)
    }

    /// The node with the control plane's images in its containerd.
    async fn node(
        &self,
        folder: &RunFolder,
        base: &str,
        names: &Names,
    ) -> Result<(), NodeImageError> {
        let docker = &self.docker;
        let container = docker.workbench(base).await?;
        let script = ["exec", "--interactive", container.name(), "bash", "-s"];
        let archive = folder.file("images.tar");
        let pack = async {
            let args = [&script[..], &["--", KUBE_PROXY_TAR]].concat();
            let files = Input::Bytes(KUBE_PROXY_FILES.as_bytes());
            docker.tool().feed(&args, files).await?;
            let (tar, inside) = (
                folder.file("kube-proxy.tar"),
                format!("{}:{KUBE_PROXY_TAR}", container.name()),
            );
            docker.run(&["cp", &inside, tar.as_str()]).await?;
            docker
                .run(&["exec", container.name(), "rm", KUBE_PROXY_TAR])
                .await?;
            let (assets, kit, names) = (self.assets.clone(), self.kit.clone(), names.clone());
            let (archive, arch) = (archive.clone(), self.sources.platform.arch.clone());
            blocking(move || pack(&archive, &arch, &tar, &names, &assets, &kit)).await
        };
        self.progress
            .step("packing the control plane's images", pack)
            .await?;
        let preload = async {
            let exec = [
                "exec",
                "--interactive",
                container.name(),
                "sh",
                "-c",
                PRELOAD,
            ];
            let has = docker.tool().feed(&exec, Input::File(&archive)).await?;
            match names.0.lines().find(|name| !has.contains(*name)) {
                Some(missing) => Err(NodeImageError::Incomplete {
                    missing: missing.to_owned(),
                }),
                None => Ok(()),
            }
        };
        self.progress
            .step("loading them into the node", preload)
            .await?;
        let labels = [(LABEL, NODE_IMAGE), (INPUTS, &self.inputs)];
        let labels = labels.map(|(name, value)| format!("LABEL {name}={value}"));
        let changes = RUNS.into_iter().chain(labels.iter().map(String::as_str));
        let mut args = vec!["commit"];
        args.extend(changes.flat_map(|change| ["--change", change]));
        args.extend([container.name(), &self.name]);
        let commit = docker.run(&args);
        self.progress
            .step(&format!("committing {}", self.name), commit)
            .await?;
        container.remove().await;
        Ok(())
    }
}

/// The control plane's images as one archive.
fn pack(
    archive: &Utf8Path,
    architecture: &str,
    kube_proxy_tar: &Utf8Path,
    names: &Names,
    assets: &Assets,
    kit: &Kit,
) -> Result<(), NodeImageError> {
    let below = std::fs::read(kube_proxy_tar).map_err(|source| NodeImageError::Read {
        path: kube_proxy_tar.to_owned(),
        source,
    })?;
    let mut images = Vec::new();
    for Contained {
        name,
        entrypoint,
        path,
        on_debian,
    } in IMAGES
    {
        let program = match name {
            "kube-apiserver" => &assets.kube_apiserver,
            "etcd" => &assets.etcd,
            name => kit.program(name),
        };
        images.push(Image {
            name: names.of(name)?.to_owned(),
            entrypoint,
            base: on_debian.then_some(&below),
            program: (program, path),
        });
    }
    let written = archive::write(archive, architecture, &images);
    written.map_err(|source| NodeImageError::Write {
        path: archive.to_owned(),
        source,
    })
}

impl Names {
    /// The image of a program: `registry.k8s.io/coredns/coredns:v1.14.6` for `coredns`.
    fn of(&self, what: &'static str) -> Result<&str, NodeImageError> {
        let named = |line: &&str| {
            let name = line.rsplit_once(':').map_or(*line, |(name, _tag)| name);
            name.rsplit('/').next() == Some(what)
        };
        let mut lines = self.0.lines().map(str::trim);
        lines.find(named).ok_or_else(|| NodeImageError::NoImage {
            what,
            said: self.0.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_kubeadm_says() {
        let names = Names(
            "registry.k8s.io/kube-proxy:v1.37.2\nregistry.k8s.io/coredns/coredns:v1.14.6\n\
             registry.k8s.io/pause:3.10.2\n"
                .to_owned(),
        );
        let of = |what| names.of(what).expect("must be named");
        assert_eq!(of("coredns"), "registry.k8s.io/coredns/coredns:v1.14.6");
        assert_eq!(of("pause"), "registry.k8s.io/pause:3.10.2");
        let error = names.of("etcd").expect_err("must be missing").to_string();
        assert!(
            error.starts_with("kubeadm names no image of etcd"),
            "{error}"
        );
    }
}
