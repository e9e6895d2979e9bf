//! The image of a kind node: the stock one where it can be had, else one made here.
//!
//! kind's own image needs a registry. This one is made of Debian's packages and of Go modules,
//! and gives the same cluster: kind takes it by `--image`. It is made by root once and needs
//! Docker; what takes long (programs, Debian, the layers) is kept, so that a build that was
//! interrupted goes on where it was.
//!
//! An image takes its name when it is whole, by the last step of a build. It is for the machine
//! that made it: the licence texts that go with Debian's packages are left out, so it is not to
//! be passed on.

pub(crate) mod archive;
mod build;
mod context;
mod debian;
mod error;
mod inputs;
mod layout;
pub(crate) mod registry;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::assets::{Sources, Wanted};
use crate::docker::{Docker, DockerError, LABEL};
use crate::progress::Progress;

use build::Build;
use debian::Debian;
pub use error::NodeImageError;

/// The repository of the images that are made here.
const REPOSITORY: &str = "tokenlab/node";
/// What an image's label of that name says: `node-image`, or what is below one.
const NODE_IMAGE: &str = "node-image";
const NODE_BASE: &str = "node-base";
/// What the engine must have free for a build, in bytes. Measured: 1 GB stays, and as much again
/// is there for a while (the context, the archive of images, a layer and its container).
const NEEDED: u64 = 2_500_000_000;
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
    ///
    /// What this machine lacks is told before anything that takes minutes.
    pub async fn build(
        wanted: &Wanted,
        progress: &Progress,
    ) -> Result<NodeImageBuilt, NodeImageError> {
        let docker = Docker::check().await?;
        let sources = Sources::from_env()?;
        let debian = Debian::find(&sources).await?;
        sources.check_kit()?;
        let assets = sources.ensure(wanted, progress).await?;
        let name = Self::name(&assets.version);
        if docker.image_label(&name, LABEL).await?.is_none() {
            docker.room_for(NEEDED)?;
        }
        let kit = sources.kit(&assets.version, progress).await?;
        let debian = debian.tar(&sources, progress).await?;
        let inputs = {
            let (assets, kit, debian) = (assets.clone(), kit.clone(), debian.clone());
            blocking(move || inputs::hash(&assets, &kit, &debian))
        };
        let title = format!("looking whether {name} is made of the same");
        let inputs = progress.clone().brief().step(&title, inputs).await?;
        let build = Build {
            name,
            inputs,
            docker,
            assets: &assets,
            kit: &kit,
            debian: &debian,
            sources: &sources,
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
        let images = rows.lines().map(|line| {
            let row = serde_json::from_str(line).map_err(|source| DockerError::Unreadable {
                command: docker.tool().line(&args),
                source,
            });
            Ok(Self::of(row?))
        });
        images.collect()
    }

    fn of(row: Row) -> Self {
        Self {
            name: match (row.repository.as_str(), row.tag.as_str()) {
                // Another build has taken its name.
                ("<none>", _) | (_, "<none>") => row.id.clone(),
                (repository, tag) => format!("{repository}:{tag}"),
            },
            id: row.id,
            size: row.size,
            created: row.created_since,
        }
    }

    /// Removes the images of these versions, and with the last one what was kept to make them;
    /// tells their names.
    pub async fn remove(versions: &[Version]) -> Result<Vec<String>, NodeImageError> {
        let docker = Docker::check().await?;
        let there = Self::listed(&docker, NODE_IMAGE).await?;
        let asked: Vec<_> = versions.iter().map(Self::name).collect();
        let is_there = |name: &&String| there.iter().any(|image| image.name == **name);
        match asked.iter().find(|name| !is_there(name)) {
            Some(name) => Err(NodeImageError::Unknown { name: name.clone() }),
            None => Self::remove_named(&docker, asked).await,
        }
    }

    /// Removes all, with what was kept to make them; tells their names.
    pub async fn remove_all() -> Result<Vec<String>, NodeImageError> {
        let docker = Docker::check().await?;
        let there = Self::listed(&docker, NODE_IMAGE).await?;
        let names = there.into_iter().map(|image| image.name).collect();
        Self::remove_named(&docker, names).await
    }

    async fn remove_named(
        docker: &Docker,
        names: Vec<String>,
    ) -> Result<Vec<String>, NodeImageError> {
        for name in &names {
            docker.run(&["image", "rm", name]).await?;
        }
        if Self::listed(docker, NODE_IMAGE).await?.is_empty() {
            for base in Self::listed(docker, NODE_BASE).await? {
                docker.run(&["image", "rm", &base.name]).await?;
            }
        }
        Self::prune(docker).await?;
        Ok(names)
    }

    /// Removes what no name leads to any more: the image whose name a later build took, layers
    /// of a build that was interrupted. What a container uses stays.
    async fn prune(docker: &Docker) -> Result<(), DockerError> {
        for kind in [NODE_IMAGE, NODE_BASE] {
            let filter = format!("label={LABEL}={kind}");
            let args = ["image", "prune", "--force", "--filter", &filter];
            docker.run(&args).await?;
        }
        Ok(())
    }
}

/// Work on files that takes seconds, where it holds up nobody: the other tasks of this thread draw
/// the progress and see a Ctrl-C. Given up, it still runs to its end.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// The image that nodes of a version are made of: the stock one when Docker has it, else the
/// one that was made here, else the stock one when a registry gives it soon, else one is made.
pub(crate) async fn ensure(
    docker: &Docker,
    version: &Version,
    progress: &Progress,
) -> Result<String, NodeImageError> {
    let (stock, own) = (format!("kindest/node:v{version}"), NodeImage::name(version));
    for name in [&stock, &own] {
        if docker.image_label(name, LABEL).await?.is_some() {
            return Ok(name.clone());
        }
    }
    let Err(reason) = registry::pulled(docker, &stock, progress).await else {
        return Ok(stock);
    };
    progress.note(&format!(
        "no registry gives {stock} ({reason}), so {own} is made, which takes minutes"
    ));
    let wanted = Wanted::Exact(version.clone());
    Ok(NodeImage::build(&wanted, progress).await?.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::tests::Stand;

    /// Which image is taken where Docker has those whose names match this pattern of a shell.
    async fn taken(there: &str) -> String {
        let there = format!("{there}) echo null ;; *) echo 'No such image' >&2; exit 1");
        let script = format!("for last; do :; done; case $last in {there} ;; esac");
        let (_stand, docker) = Stand::docker(&script).await;
        let version = Version::new(1, 37, 2);
        let image = ensure(&docker, &version, &Progress::hidden()).await;
        image.expect("must be there")
    }

    #[tokio::test]
    async fn the_stock_image_is_taken_before_ours() {
        assert_eq!(taken("*/node:v1.37.2").await, "kindest/node:v1.37.2");
        assert_eq!(taken("tokenlab/*").await, "tokenlab/node:v1.37.2");
    }
}
