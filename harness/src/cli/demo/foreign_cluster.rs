//! The story of somebody else's webhook on a real cluster.

use std::process::ExitCode;

use anyhow::bail;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{CONFIG_FILE_FLAG, Cluster, Shown, Wire};
use tokenlab_webhook::{ApiVersion, Token};

use super::cluster::create;
use super::commands::Commands;
use super::foreign::{Report, ask, conclude, disagreement, review, tell_review};
use super::verdict::{Opinion, shown};
use super::{Args, Story, typed};
use crate::cli::choice::Choice;

impl Args {
    pub(super) async fn foreign_cluster(self) -> anyhow::Result<ExitCode> {
        let Self {
            choice,
            tried,
            verbose,
            hold,
            json,
        } = self;
        let Choice {
            backend,
            wire,
            reach,
            service_address,
            no_agent,
            kubeconfig: _,
            context: _,
            webhook,
            kubernetes,
        } = choice;
        let (wire, reach) = (wire.unwrap_or_default(), reach.unwrap_or_default());
        let mut story = Story::new(json, verbose);
        let token = tried.token()?;
        let mut builder = (Cluster::builder().backend(backend).wire(wire).reach(reach))
            .kubernetes(kubernetes.unwrap_or_default())
            .service_address(service_address.unwrap_or_default())
            .agent(!no_agent)
            .progress(Progress::stderr().brief());
        if let Some(webhook) = webhook.for_cluster()? {
            builder = builder.webhook(webhook);
        }
        let plan = builder.plan().await?;
        let commands = Commands {
            backend,
            agent: !no_agent,
            name: plan.name().to_owned(),
        };
        let (kubernetes, source) = (plan.version().to_string(), plan.image().to_owned());
        let lab = create(&mut story, wire, plan, &commands).await?;
        let told = tell(&mut story, &lab, wire, &token, &commands).await;
        let (said, done) = match told {
            Ok(told) => told,
            Err(error) => {
                lab.keep(&format!("{error:#}")).await;
                lab.stop().await;
                return Err(error);
            }
        };
        let agree = done.follows(&said);
        story.end(&Report {
            backend,
            kubernetes,
            source,
            url: lab.webhook_url()?,
            webhook: &said,
            apiserver: &done,
            agree,
        })?;
        if !agree {
            let diagnosis = lab.diagnose(&Shown::from(&token)).await;
            let why = disagreement(&said, &done, &diagnosis);
            lab.keep(&why).await;
            lab.stop().await;
            bail!(why);
        }
        conclude(&story, &said)?;
        if hold {
            let kubectl = lab.kubectl()?;
            story.say(&format!(
                "The cluster runs until Ctrl-C. Try it:\n  export KUBECONFIG={}\n  {} get pods --all-namespaces\nfiles: {}",
                typed(kubectl.kubeconfig()),
                typed(&lab.plan().assets().kubectl),
                lab.plan().folder().path()
            ))?;
            std::future::pending::<()>().await;
        }
        lab.stop().await;
        said.usable()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What the webhook says of the token, and what the apiserver makes of it.
async fn tell(
    story: &mut Story,
    lab: &Cluster,
    wire: Wire,
    token: &Token,
    commands: &Commands,
) -> anyhow::Result<(Opinion, Opinion)> {
    let plan = lab.plan();
    if let Some(image) = plan.webhook_image() {
        story.begin("load");
        let name = image.to_string();
        lab.load_webhook().await?;
        let mut typed = vec![format!("docker save --output image.tar {name}")];
        typed.extend(commands.load());
        story.step(&format!("the image {name} is in the node"), &typed)?;
    }

    story.begin("deploy");
    lab.deploy().await?;
    let url = lab.webhook_url()?;
    match plan.webhook_image() {
        Some(_) => {
            let (name, namespace) = (&plan.manifests().name, &plan.manifests().namespace);
            story.step(
                &format!("Deployment and Service {name} in {namespace}, at {url} for the node"),
                &[commands.deploy(plan)],
            )?;
        }
        None => story.step(&format!("the webhook at {url}"), &[])?,
    }

    story.begin("review");
    let said = match lab.review(review(token)).await {
        Ok(answer) => {
            let said = Opinion::of_webhook(answer.status, &answer.body, ApiVersion::V1Beta1);
            tell_review(story, &said, &[])?;
            story.show(&shown(&answer.body, token))?;
            said
        }
        Err(error) => {
            let said = Opinion::unusable(format!("{:#}", anyhow::Error::from(error)));
            tell_review(story, &said, &[])?;
            said
        }
    };

    if wire == Wire::Patch {
        story.begin("wire");
        let file = plan.config_file();
        lab.wire().await?;
        story.step(
            &format!("kube-apiserver runs with --{CONFIG_FILE_FLAG}={file}"),
            &commands.wire(file),
        )?;
    }
    let kubectl = lab.kubectl_as(token)?;
    let done = ask(story, &kubectl).await?;
    Ok((said, done))
}
