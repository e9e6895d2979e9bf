//! The steps of a build, each of which finds what an earlier build left.

use std::io;

use camino::Utf8Path;

use super::archive::{self, Image};
use super::context::Context;
use super::{
    INPUTS, KUBE_PROXY_FILES, NODE_BASE, NODE_IMAGE, NodeImageBuilt, NodeImageError, PRELOAD,
};
use crate::assets::{Assets, Kit};
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
    pub(super) root: &'a Utf8Path,
    pub(super) architecture: &'a str,
    pub(super) progress: &'a Progress,
}

/// The names of the control plane's images, as this version's kubeadm wants them.
struct Names(String);

impl Build<'_> {
    pub(super) async fn run(self) -> Result<NodeImageBuilt, NodeImageError> {
        let Self { docker, name, .. } = &self;
        let made_of = docker.image_label(name, INPUTS).await?;
        let cached = made_of.as_deref() == Some(&self.inputs);
        if !cached {
            let names = self.names().await?;
            let folder = RunFolder::create()?;
            let debian = self.debian().await?;
            let base = self.base(&folder, &debian, &names).await?;
            self.node(&folder, &base, &names).await?;
        }
        Ok(NodeImageBuilt {
            name: self.name,
            inputs: self.inputs,
            cached,
        })
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
        let made_of = self.root.parent().and_then(Utf8Path::file_name);
        let name = format!("tokenlab/debian:{}", made_of.unwrap_or_default());
        if self.docker.image_label(&name, LABEL).await?.is_none() {
            let label = format!("LABEL {LABEL}={NODE_BASE}");
            let args = ["import", "--change", &label, self.root.as_str(), &name];
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
        let context = Context::new(folder)?;
        context.fill(self.assets, self.kit)?;
        let name = format!("tokenlab/node-base:{}", self.inputs);
        let (base, pause) = (
            format!("BASE={debian}"),
            format!("PAUSE={}", names.of("pause")?),
        );
        let label = format!("{LABEL}={NODE_BASE}");
        let args = [
            "build",
            "--network=none",
            "--build-arg",
            &base,
            "--build-arg",
            &pause,
            "--label",
            &label,
            "--tag",
            &name,
            context.path(),
        ];
        let mut docker = self.docker.tool().clone();
        if docker.run(&["buildx", "version"]).await.is_err() {
            // Docker's program insists on buildx, and its engine can do without.
            docker = docker.env("DOCKER_BUILDKIT", "0");
        }
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
            self.pack(&archive, &tar, names)
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
        let (kind, inputs) = (
            format!("LABEL {LABEL}={NODE_IMAGE}"),
            format!("LABEL {INPUTS}={}", self.inputs),
        );
        let args = [
            "commit",
            "--change",
            &kind,
            "--change",
            &inputs,
            "--change",
            r#"ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]"#,
            "--change",
            "CMD []",
            container.name(),
            &self.name,
        ];
        let commit = docker.run(&args);
        self.progress
            .step(&format!("committing {}", self.name), commit)
            .await?;
        container.remove().await;
        Ok(())
    }

    fn pack(
        &self,
        archive: &Utf8Path,
        kube_proxy_tar: &Utf8Path,
        names: &Names,
    ) -> Result<(), NodeImageError> {
        let write = |path: &Utf8Path| {
            let path = path.to_owned();
            move |source: io::Error| NodeImageError::Write { path, source }
        };
        let below = std::fs::read(kube_proxy_tar).map_err(write(kube_proxy_tar))?;
        let kit = |name| self.kit.program(name);
        let programs = [
            ("kube-apiserver", self.assets.kube_apiserver.as_path()),
            ("kube-controller-manager", kit("kube-controller-manager")),
            ("kube-scheduler", kit("kube-scheduler")),
            ("kube-proxy", kit("kube-proxy")),
            ("etcd", self.assets.etcd.as_path()),
            ("coredns", kit("coredns")),
            ("pause", kit("pause")),
        ];
        let mut images = Vec::new();
        for (name, program) in programs {
            // CoreDNS and pause are run by their images' entrypoints, the rest by command lines.
            let (entrypoint, inside) = match name {
                "coredns" => ("/coredns", "coredns"),
                "pause" => ("/pause", "pause"),
                "kube-apiserver" => (name, "usr/local/bin/kube-apiserver"),
                "kube-controller-manager" => (name, "usr/local/bin/kube-controller-manager"),
                "kube-scheduler" => (name, "usr/local/bin/kube-scheduler"),
                "kube-proxy" => (name, "usr/local/bin/kube-proxy"),
                _ => (name, "usr/local/bin/etcd"),
            };
            images.push(Image {
                name: names.of(name)?.to_owned(),
                entrypoint,
                base: (name == "kube-proxy").then_some(&below),
                program: (program, inside),
            });
        }
        archive::write(archive, self.architecture, &images).map_err(write(archive))
    }
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
