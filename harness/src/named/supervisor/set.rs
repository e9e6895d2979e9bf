//! How the webhook behaves.

use tokenlab_webhook::Decision;

use super::{Failure, Response, Supervisor};
use crate::backend::MockLab;
use crate::journal::{Journal, TokenHash, audit};
use crate::lab::Lab;
use crate::named::settings::{Change, ScriptedToken, Settings};
use crate::scripted::Scripted;
use crate::webhook::WebhookError;

/// What a webhook that is served here answers, and what it answered.
#[derive(Debug)]
pub(super) struct Switchboard {
    pub(super) scripted: Scripted,
    pub(super) journal: Journal,
}

/// Changes how the webhook behaves, and tells how it does then.
pub(super) async fn set(
    supervisor: &Supervisor,
    changes: Vec<Change>,
) -> Result<Response, Failure> {
    let lab = supervisor.lab.read().await;
    let (MockLab::Bare(lab), Some(switchboard)) = (&*lab, &supervisor.webhook) else {
        let backend = supervisor.spec.backend;
        let whose = match &supervisor.spec.webhook {
            Some(_) => "somebody else's webhook".to_owned(),
            None => format!("the webhook of a lab on {backend}"),
        };
        return Err(Failure {
            message: format!(
                "what {whose} does cannot be set: it is a program of its own, which knows no \
                 scripts"
            ),
            hint: Some(
                "`tokenlab up NAME`, without a backend and a webhook, starts a lab that serves its \
                 webhook itself"
                    .to_owned(),
            ),
        });
    };
    for change in changes {
        apply(lab, switchboard, change).await?;
    }
    let settings = settings(lab, switchboard).await;
    Ok(Response::Settings(
        settings.map_err(|error| refused(&error))?,
    ))
}

async fn apply(lab: &Lab, switchboard: &Switchboard, change: Change) -> Result<(), Failure> {
    let webhook = lab.webhook();
    if let Change::Token { token, .. } = &change {
        lab.folder().know(token);
    }
    match change {
        Change::Token {
            token,
            script: Some(script),
        } => switchboard.scripted.script(&token, Decision::from(script)),
        Change::Token {
            token,
            script: None,
        } => {
            if !switchboard.scripted.forget(&token) {
                return Err(Failure {
                    message: format!(
                        "the token {} has no answer of its own",
                        switchboard.journal.hash(&token)
                    ),
                    hint: Some("`tokenlab set` shows those that have".to_owned()),
                });
            }
        }
        Change::Latency(latency) => webhook
            .set_latency(latency)
            .map_err(|error| refused(&error))?,
        Change::Fault(fault) => webhook.set_fault(fault).map_err(|error| refused(&error))?,
        Change::Up(true) => webhook.up().await.map_err(|error| refused(&error))?,
        Change::Up(false) => webhook.down().await.map_err(|error| refused(&error))?,
    }
    Ok(())
}

fn refused(error: &WebhookError) -> Failure {
    Failure::of(error, error.hint())
}

async fn settings(lab: &Lab, switchboard: &Switchboard) -> Result<Settings, WebhookError> {
    let Switchboard { scripted, journal } = switchboard;
    let webhook = lab.webhook();
    let memory = audit::memory(lab.control_plane().flags());
    let tokens = scripted.scripts().into_iter();
    let mut tokens: Vec<_> = tokens
        .filter_map(|(token, act)| {
            let token = journal.hash(&token);
            let decision = act.decision()?;
            Some(ScriptedToken {
                remembered_s: remembered(journal, &token, decision),
                token,
                script: decision.clone().into(),
            })
        })
        .collect();
    tokens.sort_by(|one, other| one.token.cmp(&other.token));
    Ok(Settings {
        up: webhook.is_up().await?,
        latency_us: u64::try_from(webhook.latency()?.as_micros()).unwrap_or(u64::MAX),
        fault: webhook.fault()?,
        tokens,
        memory_s: memory.authenticated.as_secs(),
    })
}

/// For how many more seconds the apiserver may know the token by an answer that is another now.
fn remembered(journal: &Journal, token: &TokenHash, decision: &Decision) -> Option<u64> {
    let (outcome, left) = journal.remembered(token)?;
    (outcome != decision.into()).then_some(left.as_secs() + 1)
}
