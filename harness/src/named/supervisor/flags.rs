//! The apiserver's flags: which it runs with, and others.

use super::{Failure, Response, Supervisor};
use crate::backend::MockLab;
use crate::diagnostics::Redaction;

/// The flags that it runs with.
pub(super) async fn running(supervisor: &Supervisor) -> Result<Response, Failure> {
    let lab = supervisor.lab.read().await;
    Ok(shown(&lab, &lab.running_flags().await?))
}

/// Starts the apiserver anew with these flags; names without dashes, `None` takes one away. What
/// then runs is looked at, not assumed.
pub(super) async fn set(
    supervisor: &Supervisor,
    flags: &[(String, Option<String>)],
) -> Result<Response, Failure> {
    crate::lab::check(flags.iter().map(|(name, _)| &**name))?;
    let mut lab = supervisor.lab.write().await;
    let borrowed = flags
        .iter()
        .map(|(name, value)| (&**name, value.as_deref()));
    lab.set_flags(&borrowed.collect::<Vec<_>>()).await?;
    let running = lab.running_flags().await?;
    if let Some((name, _)) = flags.iter().find(|flag| !has(&running, flag)) {
        return Err(Failure {
            message: format!("kube-apiserver is ready again, and `--{name}` is not as it was set"),
            hint: Some("`tokenlab flags` shows what it runs with".to_owned()),
        });
    }
    supervisor.given().change(flags);
    Ok(shown(&lab, &running))
}

fn has(running: &[String], (name, value): &(String, Option<String>)) -> bool {
    let prefix = format!("--{name}=");
    let mut values = running.iter().filter_map(|flag| flag.strip_prefix(&prefix));
    match value {
        Some(value) => values.any(|found| found == value),
        None => values.next().is_none(),
    }
}

fn shown(lab: &MockLab, flags: &[String]) -> Response {
    let redaction = Redaction::of_folder(lab.folder().path());
    let flags = flags.iter().map(|flag| redaction.text(flag));
    Response::Flags(flags.collect())
}
