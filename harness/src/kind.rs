//! kind: a cluster whose node is a container, made by kubeadm.

mod config;
mod mounts;
mod restart;
mod static_pod;
mod wiring;

use std::net::{IpAddr, Ipv4Addr};

use camino::Utf8Path;
use semver::Version;

use crate::assets::Sources;
use crate::cluster::{ClusterError, ClusterPlan, Patch, Wire, Wired};
use crate::docker::{Docker, Owned};
use crate::guardian::EngineObject;
use crate::kubeconfig::{self, Kubeconfig};
use crate::lab::{CONFIG_FILE, CONFIG_FILE_FLAG};
use crate::node::Node;
use crate::node_image;
use crate::progress::Progress;
use crate::run_folder::{RunFolder, RunFolderError};
use crate::tool::Tool;

use config::Config;
pub use static_pod::ManifestError;
use static_pod::StaticPod;
use wiring::Wiring;
pub use wiring::WiringError;

/// The webhook's address in the cluster: in that part of kind's service range (10.96.0.0/16)
/// which the apiserver keeps for addresses that are asked for (Kubernetes, "Service ClusterIP
/// allocation").
pub(crate) const CLUSTER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 96));

/// The file by which the apiserver reaches its webhook. kubeadm mounts this folder and
/// `/etc/ssl/certs` into the apiserver's Pod, and no other.
pub(crate) const CONFIG_IN_NODE: &str = "/etc/kubernetes/pki/webhook-config.yml";

/// Where kubeadm finds patches for the Pods that it makes.
const PATCHES: &str = "/etc/kubernetes/tokenlab-patches";

/// kind's program, and what its nodes are made of.
#[derive(Debug)]
pub(crate) struct Kind {
    tool: Tool,
    pub(crate) image: String,
}

impl Kind {
    /// Looks for what is needed, and gets what is missing.
    pub(crate) async fn find(
        sources: &Sources,
        version: &Version,
        docker: &Docker,
        progress: &Progress,
    ) -> Result<Self, ClusterError> {
        let program = sources.kind(progress).await?;
        let image = node_image::ensure(docker, version, progress).await?;
        let tool = Tool::at("kind", program).env("KIND_EXPERIMENTAL_PROVIDER", "docker");
        Ok(Self { tool, image })
    }

    /// What all runs of kind are told by their environment.
    pub(crate) fn told(self, name: &str, folder: &RunFolder, log: &Utf8Path) -> Self {
        let Self { tool, image } = self;
        let tool = tool
            .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", name)
            // kind writes the kubeconfig that this names, if a command line names none.
            .env("KUBECONFIG", kubeconfig(folder).as_str())
            .log(log.to_owned());
        Self { tool, image }
    }

    /// Creates the cluster's node; the network is there. Returns the admin.
    pub(crate) async fn create(&self, plan: &ClusterPlan) -> Result<Kubeconfig, ClusterError> {
        let config = plan.folder.write("kind.yaml", &self.config(plan)?)?;
        let kubeconfig = kubeconfig(&plan.folder);
        let args = [
            "create",
            "cluster",
            "--config",
            config.as_str(),
            "--kubeconfig",
            kubeconfig.as_str(),
            "--retain",
        ];
        let created = self.tool.run(&args).await;
        created.map_err(ClusterError::Create)?;
        let text = std::fs::read_to_string(&kubeconfig).unwrap_or_default();
        kubeconfig::admin(&text).map_err(|source| ClusterError::Kubeconfig {
            program: "kind",
            source,
        })
    }

    fn config(&self, plan: &ClusterPlan) -> Result<String, ClusterError> {
        let mut config = Config::new(&plan.name, &self.image, plan.docker.host);
        if plan.wire == Wire::Create {
            let file = plan.folder.write(CONFIG_FILE, &plan.webhook_config()?)?;
            config.mounts.push((file, CONFIG_IN_NODE));
            config.flags.push((CONFIG_FILE_FLAG, CONFIG_IN_NODE));
            if let Some((address, name)) = plan.host_entry()? {
                let folder = plan.folder.folder("kubeadm-patches")?;
                let patch = static_pod::host_alias_patch(address, &name);
                let file = "kubeadm-patches/kube-apiserver+strategic.json";
                std::fs::write(plan.folder.file(file), patch).map_err(|source| {
                    RunFolderError::Write {
                        path: file.into(),
                        source,
                    }
                })?;
                config.mounts.push((folder, PATCHES));
                config.patch_folder = Some(PATCHES);
            }
        }
        Ok(config.yaml())
    }

    /// Loads an image's archive: what `kind load docker-image` does breaks with Docker 29 and
    /// newer (kind#3795).
    pub(crate) async fn load(
        &self,
        plan: &ClusterPlan,
        archive: &Utf8Path,
    ) -> Result<(), ClusterError> {
        let args = [
            "load",
            "image-archive",
            archive.as_str(),
            "--name",
            &plan.name,
        ];
        Ok(self.tool.run(&args).await.map(drop)?)
    }

    /// Changes the running apiserver.
    pub(crate) async fn patch(
        &self,
        node: &Node,
        admin: &Kubeconfig,
        patch: &Patch,
    ) -> Result<Wired, WiringError> {
        Wiring { node, admin }.set(patch).await
    }

    /// The flags of the running apiserver.
    pub(crate) async fn flags(&self, node: &Node) -> Result<Vec<String>, WiringError> {
        let words = restart::command_line(node).await?;
        let flags = words.lines().filter(|word| word.starts_with("--"));
        Ok(flags.map(str::to_owned).collect())
    }

    /// The flags that its manifest has, whatever runs.
    pub(crate) async fn told_flags(&self, node: &Node) -> Result<Vec<String>, WiringError> {
        let manifest = wiring::manifest(node).await?;
        Ok(StaticPod::read(&manifest, wiring::CONTAINER)?.flags())
    }

    /// Where a file that the apiserver sees is in the node; `None` where nothing is mounted there.
    pub(crate) async fn mounted(
        &self,
        node: &Node,
        path: &str,
    ) -> Result<Option<String>, WiringError> {
        let manifest = wiring::manifest(node).await?;
        Ok(mounts::in_node(&manifest, wiring::CONTAINER, path.as_ref()))
    }

    /// Takes back what wired the webhook in.
    pub(crate) async fn undo(
        &self,
        node: &Node,
        admin: &Kubeconfig,
        server_name: &str,
    ) -> Result<Wired, WiringError> {
        Wiring { node, admin }.undo(server_name).await
    }
}

fn kubeconfig(folder: &RunFolder) -> camino::Utf8PathBuf {
    folder.file("kind.kubeconfig")
}

/// The container that kind makes the node of.
pub(crate) fn container(name: &str) -> Result<Owned, crate::docker::DockerError> {
    Owned::announce(EngineObject::Container, container_name(name))
}

/// What kind calls it.
pub(crate) fn container_name(name: &str) -> String {
    format!("{name}-control-plane")
}
