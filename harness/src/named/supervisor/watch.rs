//! What is decided about tokens, as it happens.

use std::io::ErrorKind;

use tokio::io::Interest;
use tokio::net::unix::OwnedWriteHalf;

use super::{Failure, Response, Supervisor, send};
use crate::journal::Next;
use crate::named::spec::Spec;
use crate::named::webhook::SpecWebhook;

/// Tells of each event until the client is gone.
pub(super) async fn watch(
    supervisor: &Supervisor,
    past: bool,
    write: &mut OwnedWriteHalf,
) -> Result<Option<Response>, Failure> {
    let Some(webhook) = &supervisor.webhook else {
        return Err(unseen(&supervisor.spec));
    };
    let (events, mut live) = webhook.journal.follow_from_start();
    send(write, &Response::Watching).await?;
    if past {
        for event in events {
            send(write, &Response::Review(event)).await?;
        }
    }
    loop {
        let next = tokio::select! {
            next = live.next() => next,
            () = gone(write) => None,
        };
        let response = match next {
            None => return Ok(None),
            Some(Next::Event(event)) => Response::Review(event),
            Some(Next::Missed(missed)) => Response::Missed(missed),
        };
        if send(write, &response).await.is_err() {
            return Ok(None);
        }
    }
}

/// Nobody here sees what it is asked.
fn unseen(spec: &Spec) -> Failure {
    let message = match &spec.webhook {
        None => format!(
            "the webhook of a lab on {} has its journal in its log alone",
            spec.backend
        ),
        Some(_) => "the webhook is not tokenlab's own: what it is asked is not seen".to_owned(),
    };
    let has_log = !matches!(spec.webhook, Some(SpecWebhook::Elsewhere(_)));
    Failure {
        message,
        hint: has_log.then(|| "`tokenlab logs webhook --follow` shows what it writes".to_owned()),
    }
}

/// Resolves when the client has closed its end.
pub(super) async fn gone(write: &OwnedWriteHalf) {
    let stream = write.as_ref();
    while stream.ready(Interest::READABLE).await.is_ok() {
        match stream.try_read(&mut [0; 64]) {
            // What it says beyond its request is passed over.
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
