//! The story in a cluster that is somebody else's: the webhook in it, and what its operator must do.

use std::process::ExitCode;

use anyhow::bail;
use semver::Version;
use serde::Serialize;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Backend, Existing, Operator};
use tokenlab_webhook::{ApiVersion, Token};

use super::foreign::{review, tell_review};
use super::verdict::{Opinion, shown};
use super::{Args, Story};

/// What `--json` prints, with the steps of the story.
#[derive(Serialize)]
struct Report<'a> {
    backend: Backend,
    kubernetes: &'a Version,
    webhook: &'a Opinion,
    operator: &'a Operator,
}

impl Args {
    pub(super) async fn existing(self) -> anyhow::Result<ExitCode> {
        let Self {
            choice,
            tried,
            verbose,
            hold,
            json,
        } = self;
        let Some(cluster) = choice.existing()? else {
            bail!("there is no kubeconfig");
        };
        let mut story = Story::new(json, verbose);
        let token = tried.token()?;
        story.begin("deploy");
        let progress = Progress::stderr().brief();
        let lab = Existing::deploy(&cluster, choice.webhook.for_existing()?, &progress).await?;
        let told = tell(&mut story, &lab, &token).await;
        let (said, operator) = match told {
            Ok(told) => told,
            Err(error) => {
                lab.stop().await;
                return Err(error);
            }
        };
        story.end(&Report {
            backend: Backend::Existing,
            kubernetes: lab.version(),
            webhook: &said,
            operator: &operator,
        })?;
        story.say(&format!("\n{operator}\n"))?;
        if hold {
            story.say("It stays until Ctrl-C. Then what was made in the cluster is deleted.")?;
            std::future::pending::<()>().await;
        }
        story.begin("end");
        lab.stop().await;
        story.step(
            "what was made in the cluster is deleted; with --hold it stays until Ctrl-C",
            &[],
        )?;
        said.usable()?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn tell(
    story: &mut Story,
    lab: &Existing,
    token: &Token,
) -> anyhow::Result<(Opinion, Operator)> {
    let manifests = lab.manifests();
    let (name, namespace) = (&manifests.name, &manifests.namespace);
    story.step(
        &format!(
            "Deployment and Service {name} of {} in {namespace} of a cluster of Kubernetes {}",
            manifests.image,
            lab.version()
        ),
        &[
            "tokenlab manifests --webhook-config webhook-config.yml | kubectl create -f -"
                .to_owned(),
        ],
    )?;

    story.begin("review");
    let answer = lab.post(review(token)).await?;
    let said = Opinion::of_webhook(answer.status, &answer.body, ApiVersion::V1Beta1);
    let forward = format!("kubectl port-forward --namespace {namespace} service/{name} 8443:443");
    tell_review(story, &said, &[forward])?;
    story.show(&shown(&answer.body, token))?;

    story.begin("config");
    let operator = lab.operator().await?;
    story.step(
        "webhook-config.yml tells an apiserver where, by which CA and by which name",
        &[],
    )?;
    story.show(&operator.config)?;
    Ok((said, operator))
}
