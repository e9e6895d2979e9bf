//! `tokenlab demo`: the tutorial's story from nothing to Forbidden for "mock".

mod cluster;
pub(super) mod commands;
mod existing;
mod foreign;
mod foreign_cluster;
mod story;
mod verdict;

use std::borrow::Cow;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    Backend, CONFIG_FILE, CONFIG_FILE_FLAG, Lab, LabPlan, Output, SERVICE_NAME,
};
use tokenlab_webhook::Token;

use super::choice::Choice;
use super::webhook::{TOKEN, Tried};
use story::Story;

pub(super) const FORBIDDEN: &str = "Error from server (Forbidden): namespaces is forbidden: \
    User \"mock\" cannot list resource \"namespaces\" in API group \"\" at the cluster scope";

const EXAMPLES: &str = "\
Examples:
  tokenlab demo
  tokenlab demo --verbose
  tokenlab demo --kubernetes 1.36
  tokenlab demo --backend kind             on a real cluster, the webhook in it
  tokenlab demo --backend kind --wire create --reach dns
  tokenlab demo --backend k3s --no-agent   on a control plane alone
  tokenlab demo --json | jq -r .kubectl.stderr

Your own webhook:
  tokenlab demo --webhook-command './authn {address} {cert} {key}'
  tokenlab demo --webhook-url https://127.0.0.1:8443/authenticate --ca ca.crt
  tokenlab demo --backend kind --webhook-image me/authn:dev
  tokenlab demo --backend existing --kubeconfig theirs.yaml --hold

It succeeds (exit status 0) only if the apiserver recognises \"mock\" and
forbids it to list namespaces; with your own webhook, if that says what the
token is worth and the apiserver does so.";

/// From nothing to Forbidden for "mock": a webhook, a real kube-apiserver that asks it, and
/// `kubectl get ns` under a token
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    tried: Tried,

    /// Show the commands that a person would type
    #[arg(short, long, conflicts_with = "json")]
    verbose: bool,

    /// Leave the lab running until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    hold: bool,

    /// Print one JSON object instead of the story
    #[arg(long)]
    json: bool,
}

/// What `--json` prints, with the steps of the story.
#[derive(Serialize)]
struct Report<'a> {
    backend: Backend,
    kubernetes: String,
    source: String,
    review: serde_json::Value,
    kubectl: Kubectl<'a>,
    forbidden: bool,
}

#[derive(Serialize)]
struct Kubectl<'a> {
    exit_code: Option<i32>,
    stdout: &'a str,
    stderr: &'a str,
}

impl<'a> Kubectl<'a> {
    fn of(output: &'a Output) -> Self {
        Self {
            exit_code: output.status.code(),
            stdout: &output.stdout,
            stderr: &output.stderr,
        }
    }
}

fn is_forbidden(output: &Output) -> bool {
    output.status.code() == Some(1) && output.stderr.trim_end() == FORBIDDEN
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        self.choice.check();
        let foreign = self.choice.webhook.is_given();
        match self.choice.backend {
            Backend::Bare if foreign => Box::pin(self.foreign()).await,
            Backend::Bare => Box::pin(self.bare()).await,
            Backend::Kind | Backend::K3s if foreign => Box::pin(self.foreign_cluster()).await,
            Backend::Kind | Backend::K3s => Box::pin(self.cluster()).await,
            Backend::Existing => Box::pin(self.existing()).await,
        }
    }

    async fn bare(self) -> anyhow::Result<ExitCode> {
        let Self {
            choice,
            tried: _,
            verbose,
            hold,
            json,
        } = self;
        let mut story = Story::new(json, verbose);
        let wanted = choice.kubernetes.unwrap_or_default();

        story.begin("webhook");
        let plan = (Lab::builder()
            .kubernetes(wanted)
            .progress(Progress::stderr().brief()))
        .plan()
        .await?;
        let kubernetes = plan.assets().version.to_string();
        let source = plan.assets().source.to_string();
        tell_webhook(&mut story, &plan)?;
        let review = post_review(&mut story, &plan).await?;
        tell_config(&mut story, &plan)?;

        let mut lab = start(&mut story, plan).await?;
        let (kubeconfig, output) = get_namespaces(&mut story, &lab).await?;

        let forbidden = is_forbidden(&output);
        story.end(&Report {
            backend: choice.backend,
            kubernetes,
            source,
            review,
            kubectl: Kubectl::of(&output),
            forbidden,
        })?;
        if !forbidden {
            lab.keep();
            lab.stop().await;
            bail!("kubectl did not say that \"mock\" is forbidden; it said:\n{output}");
        }
        story.conclude()?;
        if hold {
            hold_until_interrupted(&story, &mut lab, &kubeconfig).await?;
        } else if verbose {
            story.say(
                "With --hold the lab stays, and the cat, curl and kubectl lines work; \
                 the others show what it runs.",
            )?;
        }
        lab.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn tell_webhook(story: &mut Story, plan: &LabPlan) -> anyhow::Result<()> {
    let url = plan.webhook().url();
    story.step(
        &format!("the webhook answers at {url}; its certificate names {SERVICE_NAME}"),
        &[
            format!("tokenlab-webhook certs --out . --name {SERVICE_NAME}"),
            "tokenlab-webhook serve --mock --tls-cert-file tls.crt --tls-private-key-file tls.key"
                .to_owned(),
        ],
    )
}

/// Posts the tutorial's TokenReview, and returns the answer.
async fn post_review(story: &mut Story, plan: &LabPlan) -> anyhow::Result<serde_json::Value> {
    story.begin("review");
    let review = serde_json::json!({
        "apiVersion": "authentication.k8s.io/v1beta1",
        "kind": "TokenReview",
        "spec": { "token": TOKEN },
    });
    let answer = plan.webhook().post(review.to_string()).await?;
    if answer.status != http::StatusCode::OK {
        bail!("the webhook answered {}: {}", answer.status, answer.body);
    }
    let value = serde_json::from_str(&answer.body).context("the webhook's answer is not JSON")?;
    let file = plan
        .folder()
        .write("tokenreview.json", &review.to_string())?;
    let (file, ca) = (typed(&file), plan.folder().file("webhook-ca.crt"));
    let ca = typed(&ca);
    let url = url::Url::parse(&plan.webhook().url())?;
    let port = url.port_or_known_default().unwrap_or_default();
    story.step(
        "tokenreview.json posted to it: authenticated, user \"mock\"",
        &[
            format!("cat {file}"),
            format!(
                "curl --cacert {ca} --resolve {SERVICE_NAME}:{port}:127.0.0.1 \
                 -H 'Content-Type: application/json' -d @{file} \
                 https://{SERVICE_NAME}:{port}/authenticate"
            ),
        ],
    )?;
    story.show(&answer.body)?;
    Ok(value)
}

fn tell_config(story: &mut Story, plan: &LabPlan) -> anyhow::Result<()> {
    story.begin("config");
    let file = plan.folder().file(CONFIG_FILE);
    story.step(
        &format!("{CONFIG_FILE} tells the apiserver where, by which CA and by which name"),
        &[format!("cat {}", typed(&file))],
    )
}

async fn start(story: &mut Story, mut plan: LabPlan) -> anyhow::Result<Lab> {
    story.begin("control plane");
    let command_lines = plan.to_string();
    let flags = plan.flags().get(CONFIG_FILE_FLAG).to_vec();
    let version = plan.assets().version.clone();
    let lab = plan.start().await?;
    // Interrupted, the demo leaves nothing; what goes wrong is kept where it does.
    lab.discard_on_drop();
    // One flag a line: nobody reads a line of 900 characters.
    let commands: Vec<String> = (command_lines.lines())
        .map(|line| line.replace(" --", " \\\n        --"))
        .collect();
    story.step(
        &format!(
            "kube-apiserver {version} is ready, with --{CONFIG_FILE_FLAG}={}",
            flags.join(",")
        ),
        &commands,
    )?;
    Ok(lab)
}

/// The kubeconfig of the tutorial's user, and what kubectl made of it.
async fn get_namespaces(story: &mut Story, lab: &Lab) -> anyhow::Result<(Utf8PathBuf, Output)> {
    story.begin("kubeconfig");
    let kubectl = lab.kubectl_as(&Token::from(TOKEN))?;
    let kubeconfig = typed(kubectl.kubeconfig());
    story.step(
        "a kubeconfig with the user webhook-test and the token",
        &[format!("cat {kubeconfig}")],
    )?;
    story.begin("kubectl");
    let output = kubectl.run(["get", "ns"]).await?;
    story.step(
        "kubectl get ns",
        &[format!(
            "{} --kubeconfig {kubeconfig} get ns",
            typed(&lab.assets().kubectl)
        )],
    )?;
    story.show(output.stderr.trim_end())?;
    Ok((kubectl.kubeconfig().to_owned(), output))
}

/// A path as one would type it.
pub(super) fn typed(path: &Utf8Path) -> Cow<'_, str> {
    // A NUL, the one thing that cannot be quoted, no path can hold either.
    shlex::try_quote(path.as_str()).unwrap_or(Cow::Borrowed(path.as_str()))
}

/// Ends by a signal, which drops it; or with the control plane, which is an error.
async fn hold_until_interrupted(
    story: &Story,
    lab: &mut Lab,
    kubeconfig: &Utf8Path,
) -> anyhow::Result<()> {
    story.say(&format!(
        "The lab runs until Ctrl-C. Its files are in {}\n\
         Who mock is, how to let it in, and that it is in:\n\n  \
         kubectl={}\n  \
         mock={}\n  \
         admin={}\n  \
         $kubectl --kubeconfig $mock auth whoami\n  \
         $kubectl --kubeconfig $admin create clusterrole look --verb list --resource namespaces\n  \
         $kubectl --kubeconfig $admin create clusterrolebinding mock --clusterrole look --group group-mock\n  \
         $kubectl --kubeconfig $mock get ns",
        typed(lab.folder().path()),
        typed(&lab.assets().kubectl),
        typed(kubeconfig),
        typed(&lab.folder().file("admin.kubeconfig")),
    ))?;
    let error = lab.failed().await;
    lab.keep();
    Err(error.into())
}
