//! The story of somebody else's webhook: what it says of a token, and that the apiserver does so.

use std::process::ExitCode;

use anyhow::bail;
use camino::Utf8Path;
use serde::Serialize;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    Backend, Diagnosis, Identity, Kubectl, KubectlError, Lab, LabError, LabPlan, Output, Shown,
};
use tokenlab_webhook::{ApiVersion, Token};

use super::verdict::{Opinion, shown};
use super::{Args, Story, start, tell_config, typed};
use crate::cli::choice::Choice;

/// What `--json` prints, with the steps of the story.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    pub(super) backend: Backend,
    pub(super) kubernetes: String,
    pub(super) source: String,
    pub(super) url: String,
    pub(super) webhook: &'a Opinion,
    pub(super) apiserver: &'a Opinion,
    pub(super) agree: bool,
}

impl Args {
    pub(super) async fn foreign(self) -> anyhow::Result<ExitCode> {
        let Self {
            choice,
            tried,
            verbose,
            hold,
            json,
        } = self;
        let Choice {
            backend,
            webhook,
            kubernetes,
            ..
        } = choice;
        let mut story = Story::new(json, verbose);
        story.begin("webhook");
        let token = tried.token()?;
        let source = webhook.source()?.unwrap_or_default();
        let plan = (Lab::builder().kubernetes(kubernetes.unwrap_or_default()))
            .webhook(source)
            .progress(Progress::stderr().brief())
            .plan()
            .await?;
        let (kubernetes, source) = (
            plan.assets().version.to_string(),
            plan.assets().source.to_string(),
        );
        let url = plan.webhook().url();
        tell_webhook(&mut story, &plan)?;
        let said = post_review(&mut story, &plan, &token).await?;
        tell_config(&mut story, &plan)?;

        let mut lab = start(&mut story, plan).await?;
        let kubectl = lab.kubectl_as(&token)?;
        let done = tokio::select! {
            biased;
            error = lab.failed() => {
                lab.keep();
                return Err(error.into());
            }
            done = ask(&mut story, &kubectl) => done?,
        };
        let agree = done.follows(&said);
        story.end(&Report {
            backend,
            kubernetes,
            source,
            url,
            webhook: &said,
            apiserver: &done,
            agree,
        })?;
        if !agree {
            let diagnosis = lab.diagnose(&Shown::from(&token)).await;
            lab.keep();
            lab.stop().await;
            bail!(disagreement(&said, &done, &diagnosis));
        }
        conclude(&story, &said)?;
        if hold {
            hold_until_it_fails(&story, &mut lab, kubectl.kubeconfig()).await?;
        }
        lab.stop().await;
        said.usable()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Ends by a signal, which drops it; or with a process of the lab, which is an error.
async fn hold_until_it_fails(
    story: &Story,
    lab: &mut Lab,
    kubeconfig: &Utf8Path,
) -> anyhow::Result<()> {
    story.say(&format!(
        "The lab runs until Ctrl-C. Its files are in {}\n\n  \
         kubectl={}\n  \
         user={}\n  \
         admin={}\n  \
         $kubectl --kubeconfig $user auth whoami",
        typed(lab.folder().path()),
        typed(&lab.assets().kubectl),
        typed(kubeconfig),
        typed(&lab.folder().file("admin.kubeconfig")),
    ))?;
    let error = lab.failed().await;
    lab.keep();
    Err(error.into())
}

fn tell_webhook(story: &mut Story, plan: &LabPlan) -> anyhow::Result<()> {
    let webhook = plan.webhook();
    let url = webhook.url();
    match webhook.command_line() {
        Some(line) => story.step(
            &format!("the webhook's command runs, and answers at {url}"),
            &[line],
        ),
        None => story.step(&format!("the webhook at {url}"), &[]),
    }
}

/// Posts the token to it, and returns what it says.
async fn post_review(story: &mut Story, plan: &LabPlan, token: &Token) -> anyhow::Result<Opinion> {
    story.begin("review");
    let review = review(token);
    let file = (plan.folder()).write("tokenreview.json", &review)?;
    let command = curl(plan, &file)?;
    let answer = match plan.webhook().post(review).await {
        Ok(answer) => answer,
        Err(error) => {
            let why = format!("{:#}", anyhow::Error::from(error));
            let said = Opinion::unusable(why);
            tell_review(story, &said, &[command])?;
            return Ok(said);
        }
    };
    let said = Opinion::of_webhook(answer.status, &answer.body, ApiVersion::V1Beta1);
    tell_review(story, &said, &[command])?;
    story.show(&shown(&answer.body, token))?;
    Ok(said)
}

/// As the apiserver asks by default.
pub(super) fn review(token: &Token) -> String {
    serde_json::json!({
        "apiVersion": ApiVersion::V1Beta1.as_str(),
        "kind": "TokenReview",
        "spec": { "token": token.expose() },
    })
    .to_string()
}

pub(super) fn tell_review(
    story: &mut Story,
    said: &Opinion,
    commands: &[String],
) -> anyhow::Result<()> {
    let text = format!("a TokenReview with the token posted to it: {said}");
    match said {
        Opinion::Unusable { .. } => story.failed(&text, commands),
        Opinion::Authenticated(_) | Opinion::Refused => story.step(&text, commands),
    }
}

/// What a person would type for it.
fn curl(plan: &LabPlan, review: &Utf8Path) -> anyhow::Result<String> {
    let config = plan.webhook().kubeconfig();
    let mut url = url::Url::parse(&config.server)?;
    let ca = plan.folder().file("webhook-ca.crt");
    let mut words = vec![format!("curl --cacert {}", typed(&ca))];
    if let Some(name) = &config.tls_server_name {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        words.push(format!("--connect-to {name}:{port}:{host}:{port}"));
        url.set_host(Some(name))?;
    }
    if let Identity::ClientCertificate { .. } = config.identity {
        words.push("--cert FILE --key FILE".to_owned());
    }
    let review = typed(review);
    words.push(format!(
        "-H 'Content-Type: application/json' -d @{review} {url}"
    ));
    Ok(words.join(" "))
}

/// Who the apiserver takes the token's bearer for, and what that user may do.
pub(super) async fn ask(story: &mut Story, kubectl: &Kubectl) -> anyhow::Result<Opinion> {
    let run = async |args: &[&str]| -> Result<Output, LabError> {
        let output: Result<Output, KubectlError> = kubectl.run(args).await;
        Ok(output?)
    };
    let line = |args: &str| {
        let kubeconfig = typed(kubectl.kubeconfig());
        [format!("kubectl --kubeconfig {kubeconfig} {args}")]
    };
    story.begin("whoami");
    let whoami = run(&["auth", "whoami", "--output=json"]).await?;
    let done = Opinion::of_apiserver(&whoami);
    story.step(
        &format!("kubectl auth whoami, with the token: {done}"),
        &line("auth whoami"),
    )?;
    let Opinion::Authenticated(_) = done else {
        story.show(whoami.stderr.trim_end())?;
        return Ok(done);
    };
    story.begin("kubectl");
    let namespaces = run(&["get", "ns"]).await?;
    story.step("kubectl get ns", &line("get ns"))?;
    story.show(namespaces.stderr.trim_end())?;
    story.show(namespaces.stdout.trim_end())?;
    Ok(done)
}

/// The moral.
pub(super) fn conclude(story: &Story, said: &Opinion) -> anyhow::Result<()> {
    let moral = match said {
        Opinion::Authenticated(who) => format!(
            "The webhook and the apiserver agree: the token is {:?}'s. What that user may do is a\n\
             matter of roles: Forbidden (403) means known, and not allowed.",
            who.username
        ),
        Opinion::Refused => {
            "The webhook and the apiserver agree: the token is nobody's, and that is\n\
             Unauthorized (401). The apiserver remembers it for two minutes."
                .to_owned()
        }
        Opinion::Unusable { .. } => {
            "The webhook gave no answer that the apiserver can use. The user sees what a refusal\n\
             looks like, Unauthorized (401); it is not remembered, and every request asks again."
                .to_owned()
        }
    };
    story.moral(&moral)
}

pub(super) fn disagreement(said: &Opinion, done: &Opinion, diagnosis: &Diagnosis) -> String {
    format!(
        "the webhook and the apiserver do not agree\n  the webhook: {said}\n  the apiserver: {done}\n\
         {diagnosis}"
    )
}
