//! The stock image, from a registry.

use std::convert::Infallible;
use std::time::Duration;

use crate::docker::{Docker, DockerError};
use crate::progress::Progress;

/// A registry that is reached at all says within this time whether it has an image.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has Docker pull an image; the error is a short reason why not.
///
/// Asked for first by a question that is bounded: a pull takes minutes, so nobody could tell one
/// that works from one behind a firewall that swallows everything. Both are Docker's own, with
/// the credentials that the user has for that registry and no others.
pub(super) async fn pulled(
    docker: &Docker,
    image: &str,
    progress: &Progress,
) -> Result<(), String> {
    has(docker, image, PATIENCE, progress).await?;
    let args = ["pull", "--quiet", image];
    let pull = docker.run(&args);
    let pulled = progress.step(&format!("pulling {image}"), pull).await;
    pulled.map(drop).map_err(|error| reason(&error))
}

async fn has(
    docker: &Docker,
    image: &str,
    within: Duration,
    progress: &Progress,
) -> Result<(), String> {
    let args = ["manifest", "inspect", image];
    // That it is not there is an answer like any other, and no failure of this step.
    let ask = async { Ok::<_, Infallible>(docker.tool().run_within(within, &args).await) };
    let title = format!("asking the registry for {image}");
    let Ok(answer) = progress.clone().brief().step(&title, ask).await;
    answer.map(drop).map_err(|error| reason(&error.into()))
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

    async fn asked(script: &str) -> Result<(), String> {
        let (_stand, docker) = Stand::docker(script).await;
        let within = Duration::from_millis(200);
        has(&docker, "kindest/node:v1.37.2", within, &Progress::hidden()).await
    }

    #[tokio::test]
    async fn a_registry_that_is_silent_is_given_up() {
        let answer = asked("exec sleep 1000").await;
        assert_eq!(answer, Err("no answer within 200ms".to_owned()));
    }

    #[tokio::test]
    async fn why_a_registry_does_not_give_it_is_told_in_a_line() {
        let no = "no such manifest: docker.io/kindest/node:v1.37.2";
        let answer = asked(&format!("echo '{no}' >&2; echo more >&2; exit 1")).await;
        assert_eq!(answer, Err(no.to_owned()));
    }

    #[tokio::test]
    async fn what_is_there_is_pulled_by_its_name_alone() {
        let script = r#"echo "$*" >>"$0.calls""#;
        let (stand, docker) = Stand::docker(script).await;
        let image = "kindest/node:v1.37.2";
        let pulled = pulled(&docker, image, &Progress::hidden()).await;
        pulled.expect("must be pulled");
        assert_eq!(
            stand.calls(),
            format!("manifest inspect {image}\npull --quiet {image}\n")
        );
    }
}
