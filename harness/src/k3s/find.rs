//! What a k3s is made of: its image, and the pause image where none can be pulled.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::{IMAGE, K3s, K3sError};
use crate::assets::Sources;
use crate::cluster::ClusterError;
use crate::docker::{Docker, DockerError, LABEL, Owned};
use crate::guardian::EngineObject;
use crate::node_image::{archive, registry};
use crate::progress::Progress;
use crate::run_folder::{RunFolder, RunFolderError};
use crate::tool::ToolError;

/// What our own pause image is called: a name that no registry can have (RFC 6761), so that it
/// is never pulled.
pub(super) const PAUSE_IMAGE: &str = "tokenlab.invalid/pause:1";

/// The status of `docker run` when Docker itself failed. What else there is comes of the image.
const REFUSED: i32 = 125;

/// k3s says its version within a second or two.
const ANSWER: Duration = Duration::from_secs(20);

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
        if cfg!(not(feature = "k3s")) {
            return Err(K3sError::LeftOut.into());
        }
        let image = image(version);
        is_usable(docker).await?;
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

/// The image that `LAB_K3S_IMAGE` names, or the first k3s of a version of Kubernetes.
fn image(version: &Version) -> String {
    match std::env::var(IMAGE) {
        Ok(image) if !image.is_empty() => image,
        _ => format!("rancher/k3s:v{version}-k3s1"),
    }
}

/// Fails when there is no image, and none can be pulled.
pub(crate) async fn has_image(docker: &Docker, version: &Version) -> Result<(), K3sError> {
    ensure(docker, &image(version), &Progress::stderr()).await
}

/// testcontainers knows `DOCKER_HOST` and the usual place, `docker` its contexts too.
async fn is_usable(docker: &Docker) -> Result<(), K3sError> {
    const USUAL: &str = "unix:///var/run/docker.sock";
    let endpoint = docker.is_near().await?;
    if endpoint == USUAL || std::env::var_os("DOCKER_HOST").is_some() {
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
    let pulled = registry::pulled(docker, image, progress).await;
    pulled.map_err(|said| K3sError::NoImage {
        image: image.to_owned(),
        said,
    })
}

/// The version of Kubernetes that is in an image.
async fn of_image(docker: &Docker, image: &str) -> Result<Version, K3sError> {
    let name = format!("tokenlab-{}", crate::run_folder::random_name());
    let container = Owned::announce(EngineObject::Container, name)?;
    let label = format!("{LABEL}=k3s");
    #[rustfmt::skip]
    let args = [
        "run", "--rm", "--network=none", "--label", &label, "--name", container.name(), image,
        "--version",
    ];
    let not_k3s = |said: &str| K3sError::NotK3s {
        image: image.to_owned(),
        said: said.lines().next_back().unwrap_or("nothing").to_owned(),
    };
    // Another program may know no `--version`, and never end.
    let said = docker.tool().run_within(ANSWER, &args).await;
    container.remove().await;
    let said = match said {
        Ok(said) => said,
        Err(ToolError::Failed { output, .. }) if output.status.code() != Some(REFUSED) => {
            return Err(not_k3s(&format!("{}{}", output.stdout, output.stderr)));
        }
        Err(error @ ToolError::TimedOut { .. }) => return Err(not_k3s(&error.to_string())),
        Err(error) => return Err(DockerError::from(error).into()),
    };
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
    use crate::stand_in::stand_in;

    #[test]
    fn the_version_is_that_of_kubernetes() {
        let said = "k3s version v1.21.2+k3s1 (5a67e8dc)\ngo version go1.16.4\n";
        assert_eq!(read_version(said), Some(Version::new(1, 21, 2)));
        assert_eq!(read_version("hello\n"), None);
    }

    /// What is thought of an image when `docker run` does this.
    async fn by(script: &str) -> Result<Version, K3sError> {
        let folder = tempfile::tempdir().expect("must be made");
        let path = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let docker = stand_in(&path.join("docker"), script);
        of_image(&Docker::stand_in(docker), "image").await
    }

    #[tokio::test]
    async fn an_engine_that_refuses_says_nothing_of_the_image() {
        let error = by("echo 'Error response from daemon: busy' >&2; exit 125").await;
        let error = error.expect_err("must fail");
        assert!(matches!(error, K3sError::Docker(_)), "{error}");
        assert!(error.to_string().contains("busy"), "{error}");
        for script in ["echo 'unknown flag' >&2; exit 2", "echo hello", "exit 127"] {
            let error = by(script).await.expect_err("must fail");
            assert!(matches!(error, K3sError::NotK3s { .. }), "{error}");
        }
        let version = by("echo 'k3s version v1.21.2+k3s1 (5a67e8dc)'").await;
        assert_eq!(version.expect("must be k3s"), Version::new(1, 21, 2));
    }
}
