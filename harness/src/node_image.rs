//! The image of a kind node: the stock one where it can be had, else one made here.
//!
//! kind's own image needs a registry. This one is made of Debian's packages and of Go modules,
//! and gives the same cluster: kind takes it by `--image`. It is made by root once and needs
//! Docker; what takes long (programs, Debian, the layers) is kept, so that a build that was
//! interrupted goes on where it was.

mod archive;
mod build;
mod context;
mod debian;
mod error;

use camino::Utf8Path;
use semver::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::assets::{Assets, Kit, Sources, Wanted};
use crate::docker::{Docker, LABEL};
use crate::progress::Progress;

use build::Build;
pub use error::NodeImageError;

/// The repository of the images that are made here.
const REPOSITORY: &str = "tokenlab/node";
/// What an image's label of that name says: `node-image`, or what is below one.
const NODE_IMAGE: &str = "node-image";
const NODE_BASE: &str = "node-base";
/// The label with the hash of what an image was made of.
const INPUTS: &str = "tokenlab.inputs";

const DOCKERFILE: &str = include_str!("node_image/Dockerfile");
const KUBE_PROXY_FILES: &str = include_str!("node_image/kube-proxy-files.sh");
const PRELOAD: &str = include_str!("node_image/preload.sh");

/// A node image that was made here.
#[derive(Clone, Debug, Serialize)]
pub struct NodeImage {
    /// `tokenlab/node:v1.37.2`.
    pub name: String,
    /// Docker's short identifier.
    pub id: String,
    /// `1.2GB`, as Docker words it.
    pub size: String,
    /// `2 hours ago`, as Docker words it.
    pub created: String,
}

/// What came of a build.
#[derive(Clone, Debug, Serialize)]
pub struct NodeImageBuilt {
    /// `tokenlab/node:v1.37.2`.
    pub name: String,
    /// The hash of what it was made of.
    pub inputs: String,
    /// Whether the image was there already, made of the same.
    pub cached: bool,
}

/// One line of `docker image ls --format '{{json .}}'`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    repository: String,
    tag: String,
    #[serde(rename = "ID")]
    id: String,
    size: String,
    created_since: String,
}

impl NodeImage {
    /// The name of the image for a version of Kubernetes.
    pub fn name(version: &Version) -> String {
        format!("{REPOSITORY}:v{version}")
    }

    /// Makes the image of a version, unless there is one made of the same.
    pub async fn build(
        wanted: &Wanted,
        progress: &Progress,
    ) -> Result<NodeImageBuilt, NodeImageError> {
        let docker = Docker::check().await?;
        let sources = Sources::from_env()?;
        let assets = sources.ensure(wanted, progress).await?;
        let kit = sources.kit(&assets.version, progress).await?;
        let root = debian::root(&sources, progress).await?;
        let build = Build {
            name: Self::name(&assets.version),
            inputs: inputs(&assets, &kit, &root)?,
            docker,
            assets: &assets,
            kit: &kit,
            root: &root,
            architecture: &sources.platform.arch,
            progress,
        };
        build.run().await
    }

    /// The images that were made here.
    pub async fn list() -> Result<Vec<Self>, NodeImageError> {
        let docker = Docker::check().await?;
        Self::listed(&docker, NODE_IMAGE).await
    }

    async fn listed(docker: &Docker, kind: &str) -> Result<Vec<Self>, NodeImageError> {
        let filter = format!("label={LABEL}={kind}");
        let args = ["image", "ls", "--filter", &filter, "--format", "{{json .}}"];
        let rows = docker.run(&args).await?;
        let images = rows.lines().filter_map(|line| {
            let row: Row = serde_json::from_str(line).ok()?;
            Some(Self {
                name: match (row.repository.as_str(), row.tag.as_str()) {
                    // Another build has taken its name.
                    ("<none>", _) | (_, "<none>") => row.id.clone(),
                    (repository, tag) => format!("{repository}:{tag}"),
                },
                id: row.id,
                size: row.size,
                created: row.created_since,
            })
        });
        Ok(images.collect())
    }

    /// Removes the images of these versions, or all, with what was kept below them; tells their
    /// names.
    pub async fn remove(versions: &[Version]) -> Result<Vec<String>, NodeImageError> {
        let docker = Docker::check().await?;
        let there = Self::listed(&docker, NODE_IMAGE).await?;
        let mut names: Vec<_> = there.into_iter().map(|image| image.name).collect();
        if !versions.is_empty() {
            let asked: Vec<_> = versions.iter().map(Self::name).collect();
            if let Some(name) = asked.iter().find(|name| !names.contains(name)) {
                return Err(NodeImageError::Unknown { name: name.clone() });
            }
            names = asked;
        }
        for name in &names {
            docker.run(&["image", "rm", name]).await?;
        }
        if Self::listed(&docker, NODE_IMAGE).await?.is_empty() {
            for base in Self::listed(&docker, NODE_BASE).await? {
                docker.run(&["image", "rm", &base.name]).await?;
            }
        }
        Ok(names)
    }
}

/// The hash of all that the image is made of. kind's files and Debian's packages are named by
/// their versions: the one folder and the one tar of these never change.
fn inputs(assets: &Assets, kit: &Kit, root: &Utf8Path) -> Result<String, NodeImageError> {
    let mut hash = Sha256::new();
    for text in [DOCKERFILE, KUBE_PROXY_FILES, PRELOAD, context::TEXTS] {
        hash.update(text);
    }
    hash.update(kit.base_files.as_str());
    hash.update(root.parent().unwrap_or(root).as_str());
    let own = [&assets.etcd, &assets.kube_apiserver, &assets.kubectl];
    for path in own.into_iter().chain(&kit.programs) {
        let bytes = std::fs::read(path).map_err(|source| NodeImageError::Write {
            path: path.clone(),
            source,
        })?;
        hash.update(path.file_name().unwrap_or_default());
        hash.update(bytes);
    }
    Ok(archive::hexadecimal(&hash.finalize()[..16]))
}

/// The image that nodes of a version are made of: the stock one when Docker has it, else the
/// one that was made here, else the stock one when a registry gives it soon, else one is made.
pub(crate) async fn ensure(
    docker: &Docker,
    version: &Version,
    progress: &Progress,
) -> Result<String, NodeImageError> {
    /// A registry that is reached at all says within this time whether it has the image.
    const PROBE: std::time::Duration = std::time::Duration::from_secs(5);
    let (stock, own) = (format!("kindest/node:v{version}"), NodeImage::name(version));
    for name in [&stock, &own] {
        if docker.image_label(name, LABEL).await?.is_some() {
            return Ok(name.clone());
        }
    }
    let probe = ["manifest", "inspect", &stock];
    if docker.tool().run_within(PROBE, &probe).await.is_ok() {
        let args = ["pull", "--quiet", &stock];
        let title = format!("pulling {stock}");
        if progress.step(&title, docker.run(&args)).await.is_ok() {
            return Ok(stock);
        }
    }
    progress.note(&format!(
        "no registry gives {stock}, so {own} is made, which takes minutes"
    ));
    let wanted = Wanted::Exact(version.clone());
    Ok(NodeImage::build(&wanted, progress).await?.name)
}
