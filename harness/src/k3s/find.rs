//! What a k3s is made of: its image, and the pause image where none can be pulled.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::{IMAGE, K3s, K3sError};
use crate::assets::Sources;
use crate::cluster::ClusterError;
use crate::docker::{Docker, DockerError, LABEL, Owned};
use crate::guardian::Kept;
use crate::node_image::archive;
use crate::progress::Progress;
use crate::run_folder::{RunFolder, RunFolderError};

/// What our own pause image is called: a name that no registry can have (RFC 6761), so that it
/// is never pulled.
pub(super) const PAUSE_IMAGE: &str = "tokenlab.invalid/pause:1";

/// A registry that is reached at all says within this time whether it has the image.
const PROBE: Duration = Duration::from_secs(5);

impl K3s {
    /// Looks for what is needed, and gets what is missing. Without `LAB_K3S_IMAGE` it is the
    /// first k3s of a version of Kubernetes.
    pub(crate) async fn find(
        sources: &Sources,
        version: &Version,
        agent: bool,
        docker: &Docker,
        folder: &RunFolder,
        progress: &Progress,
    ) -> Result<Self, ClusterError> {
        let image = match std::env::var(IMAGE) {
            Ok(image) if !image.is_empty() => image,
            _ => format!("rancher/k3s:v{version}-k3s1"),
        };
        same_engine(docker).await?;
        ensure(docker, &image, progress).await?;
        let version = of_image(docker, &image).await?;
        let pause = if agent {
            pause(sources, folder, progress).await?
        } else {
            None
        };
        Ok(Self {
            image,
            version,
            agent,
            pause,
        })
    }
}

/// testcontainers knows `DOCKER_HOST` and the usual place, `docker` its contexts too.
async fn same_engine(docker: &Docker) -> Result<(), K3sError> {
    const USUAL: &str = "unix:///var/run/docker.sock";
    if std::env::var_os("DOCKER_HOST").is_some() {
        return Ok(());
    }
    let args = [
        "context",
        "inspect",
        "--format",
        "{{.Endpoints.docker.Host}}",
    ];
    let endpoint = docker.run(&args).await?.trim().to_owned();
    if endpoint == USUAL {
        Ok(())
    } else {
        Err(K3sError::Context { endpoint })
    }
}

/// Sees to it that the engine has the image.
async fn ensure(docker: &Docker, image: &str, progress: &Progress) -> Result<(), K3sError> {
    if docker.image_label(image, LABEL).await?.is_some() {
        return Ok(());
    }
    let probe = ["manifest", "inspect", image];
    let pulled = match docker.tool().run_within(PROBE, &probe).await {
        Ok(_) => {
            let args = ["pull", "--quiet", image];
            let title = format!("pulling {image}");
            progress.step(&title, docker.tool().run(&args)).await
        }
        Err(error) => Err(error),
    };
    match pulled {
        Ok(_) => Ok(()),
        Err(error) => Err(K3sError::NoImage {
            image: image.to_owned(),
            said: match error.said().lines().next_back() {
                Some(said) => said.to_owned(),
                None => error.to_string(),
            },
        }),
    }
}

/// The version of Kubernetes that is in an image.
async fn of_image(docker: &Docker, image: &str) -> Result<Version, K3sError> {
    let name = format!("tokenlab-{}", crate::run_folder::random_name());
    let container = Owned::announce(Kept::Container, name)?;
    let label = format!("{LABEL}=k3s");
    #[rustfmt::skip]
    let args = [
        "run", "--rm", "--network=none", "--label", &label, "--name", container.name(), image,
        "--version",
    ];
    let not_k3s = |said: &str| K3sError::NotK3s {
        image: image.to_owned(),
        said: said.lines().next_back().unwrap_or_default().to_owned(),
    };
    let said = match docker.run(&args).await {
        Ok(said) => said,
        Err(DockerError::Tool(error)) => return Err(not_k3s(error.said())),
        Err(error) => return Err(error.into()),
    };
    container.remove().await;
    read_version(&said).ok_or_else(|| not_k3s(&said))
}

/// `k3s version v1.21.2+k3s1 (5a67e8dc)`: without what k3s adds.
fn read_version(said: &str) -> Option<Version> {
    let word = said
        .strip_prefix("k3s version v")?
        .split_whitespace()
        .next()?;
    let version = Version::parse(word).ok()?;
    Some(Version::new(version.major, version.minor, version.patch))
}

/// The archive of a pause image of our own, so that nothing needs a registry. Where it cannot
/// be built, k3s is left to pull its own.
async fn pause(
    sources: &Sources,
    folder: &RunFolder,
    progress: &Progress,
) -> Result<Option<Utf8PathBuf>, ClusterError> {
    let program = match sources.pause(progress).await {
        Ok(program) => program,
        Err(error) => {
            progress.note(&format!("k3s must pull its own pause image: {error}"));
            return Ok(None);
        }
    };
    let path = folder.file("pause.tar");
    write(&path, &program, &sources.platform.arch).map_err(|source| RunFolderError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(Some(path))
}

fn write(path: &Utf8Path, program: &Utf8Path, architecture: &str) -> std::io::Result<()> {
    let image = archive::Image {
        name: PAUSE_IMAGE.to_owned(),
        entrypoint: "/pause",
        base: None,
        program: (program, "pause"),
    };
    archive::write(path, architecture, &[image])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_kubernetes() {
        let said = "k3s version v1.21.2+k3s1 (5a67e8dc)\ngo version go1.16.4\n";
        assert_eq!(read_version(said), Some(Version::new(1, 21, 2)));
        assert_eq!(read_version("hello\n"), None);
    }
}
