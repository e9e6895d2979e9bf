//! The story on a real cluster: the tutorial's own steps.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    CONFIG_FILE_FLAG, Cluster, ClusterError, ClusterPlan, IMAGE_NAME, Image, Output, Wire,
};
use tokenlab_webhook::Token;

use super::commands::Commands;
use super::{Args, Kubectl, Report, Story, TOKEN, is_forbidden, typed};
use crate::cli::choice::Choice;

impl Args {
    pub(super) async fn cluster(self) -> anyhow::Result<ExitCode> {
        let Self {
            choice,
            tried: _,
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
            webhook: _,
            kubernetes,
        } = choice;
        let (wire, reach) = (wire.unwrap_or_default(), reach.unwrap_or_default());
        backend.check().await?;
        let mut story = Story::new(json, verbose);
        let progress = Progress::stderr().brief();
        let builder = (Cluster::builder().backend(backend).wire(wire).reach(reach))
            .kubernetes(kubernetes.unwrap_or_default())
            .service_address(service_address.unwrap_or_default())
            .agent(!no_agent)
            .progress(progress.clone());
        // What is missing is told before anything is built or started.
        let plan = builder.plan().await?;
        let commands = Commands {
            backend,
            agent: !no_agent,
            name: plan.name().to_owned(),
        };

        story.begin("image");
        let image = Image::builder().progress(progress).build().await?;
        story.step(
            &format!(
                "the webhook's image {IMAGE_NAME}: one static program, {:.1} MB",
                megabytes(image.archive().len())
            ),
            &["tokenlab image build --out image.tar".to_owned()],
        )?;

        let version = plan.version().to_string();
        let source = plan.image().to_owned();
        let lab = create(&mut story, wire, plan, &commands).await?;
        let told = tell(&mut story, &lab, &image, wire, &commands).await;
        let (review, output) = match told {
            Ok(told) => told,
            Err(error) => {
                lab.keep(&format!("{error:#}")).await;
                lab.stop().await;
                return Err(error);
            }
        };

        let forbidden = is_forbidden(&output);
        story.end(&Report {
            backend,
            kubernetes: version,
            source,
            review,
            kubectl: Kubectl::of(&output),
            forbidden,
        })?;
        if !forbidden {
            let why = format!("kubectl did not say that \"mock\" is forbidden; it said:\n{output}");
            lab.keep(&why).await;
            lab.stop().await;
            bail!(why);
        }
        story.conclude()?;
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
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) async fn create(
    story: &mut Story,
    wire: Wire,
    plan: ClusterPlan,
    commands: &Commands,
) -> anyhow::Result<Cluster> {
    story.begin("cluster");
    let said = match wire {
        Wire::Patch => "",
        Wire::Create => ", the webhook's flag set from the beginning",
    };
    let (version, image) = (plan.version().clone(), plan.image().to_owned());
    let typed = commands.create(&plan);
    let lab = plan.start().await?;
    story.step(&commands.created(&version, &image, said), &[typed])?;
    Ok(lab)
}

async fn tell(
    story: &mut Story,
    lab: &Cluster,
    image: &Image,
    wire: Wire,
    commands: &Commands,
) -> anyhow::Result<(serde_json::Value, Output)> {
    let plan = lab.plan();
    story.begin("load");
    lab.load(image).await?;
    story.step(commands.loaded(), &commands.load())?;

    story.begin("deploy");
    let answer = lab.deploy().await?;
    let review = serde_json::from_str(&answer).context("the webhook's answer is not JSON")?;
    story.step(&commands.deployed(plan), &[commands.deploy(plan)])?;

    if wire == Wire::Patch {
        story.begin("wire");
        let file = plan.config_file();
        lab.wire().await?;
        story.step(
            &format!("kube-apiserver runs with --{CONFIG_FILE_FLAG}={file}"),
            &commands.wire(file),
        )?;
    }

    story.begin("kubectl");
    let kubectl = lab.kubectl_as(&Token::from(TOKEN))?;
    let output = kubectl
        .run(["get", "ns"])
        .await
        .map_err(ClusterError::from)?;
    story.step(
        "kubectl get ns, as the user webhook-test with the token",
        &[format!(
            "kubectl --kubeconfig {} get ns",
            typed(kubectl.kubeconfig())
        )],
    )?;
    story.show(output.stderr.trim_end())?;
    Ok((review, output))
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1_000_000.0
}
