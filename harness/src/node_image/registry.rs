//! An image from a registry.

use std::convert::Infallible;
use std::time::Duration;

use crate::docker::{Docker, DockerError};
use crate::progress::Progress;

/// An engine that reaches a registry at all says within this time that it has begun to pull.
const PATIENCE: Duration = Duration::from_secs(15);

/// Has Docker pull an image; the error is a short reason why not.
///
/// The engine alone knows what it can get: its mirrors and its proxy are not those of
/// `docker manifest inspect`, which asks by itself. A pull says so when it has found the image, and
/// only until then it is bounded: behind a firewall that swallows everything it would hang, and
/// one that gets on may take minutes.
pub(crate) async fn pulled(
    docker: &Docker,
    image: &str,
    progress: &Progress,
) -> Result<(), String> {
    pulled_within(docker, image, PATIENCE, progress).await
}

async fn pulled_within(
    docker: &Docker,
    image: &str,
    within: Duration,
    progress: &Progress,
) -> Result<(), String> {
    let args = ["pull", image];
    // That it is not there is an answer like any other, and no failure of this step.
    let ask = async { Ok::<_, Infallible>(docker.tool().speaks_within(within, &args).await) };
    let title = format!("looking for {image} in a registry");
    let Ok(pull) = progress.clone().brief().step(&title, ask).await;
    let pull = pull.map_err(|error| reason(&error.into()))?;
    let title = format!("pulling {image}");
    let pulled = progress.step(&title, pull.ended()).await;
    pulled.map_err(|error| reason(&error.into()))
}

/// What Docker said, in a line.
fn reason(error: &DockerError) -> String {
    match error {
        DockerError::Silent { within } => format!("no answer within {within:?}"),
        DockerError::Tool(tool) => {
            let line = tool.said().lines().next().unwrap_or_default();
            line.trim().to_owned()
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::tests::Stand;

    const IMAGE: &str = "kindest/node:v1.37.2";

    async fn asked(script: &str, within: Duration) -> (Stand, Result<(), String>) {
        let (stand, docker) = Stand::docker(script).await;
        let pulled = pulled_within(&docker, IMAGE, within, &Progress::hidden()).await;
        (stand, pulled)
    }

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_registry_that_is_silent_is_given_up() {
        let (_stand, pulled) = asked("exec sleep 1000", SHORT).await;
        assert_eq!(pulled, Err("no answer within 200ms".to_owned()));
    }

    #[tokio::test]
    async fn why_a_registry_does_not_give_it_is_told_in_a_line() {
        let no = "Error response from daemon: manifest for kindest/node:v1.37.2 not found";
        let script = format!("echo '{no}' >&2; echo more >&2; exit 1");
        assert_eq!(asked(&script, LONG).await.1, Err(no.to_owned()));
        let broken = format!("echo 'v1.37.2: Pulling from kindest/node'; {script}");
        assert_eq!(asked(&broken, LONG).await.1, Err(no.to_owned()));
    }

    #[tokio::test]
    async fn a_pull_that_has_begun_is_not_cut() {
        // It ends long after its time, and says much more than a pipe holds.
        let script = r#"echo "$*" >>"$0.calls"; echo begun; sleep 2; seq 100000"#;
        let (stand, pulled) = asked(script, Duration::from_secs(1)).await;
        assert_eq!(pulled, Ok(()));
        assert_eq!(stand.calls(), format!("pull {IMAGE}\n"));
    }
}
