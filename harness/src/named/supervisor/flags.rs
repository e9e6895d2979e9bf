//! Other flags for the apiserver.

use super::{Failure, Response, Supervisor};

/// Starts the apiserver anew with these flags; names without dashes, `None` takes one away.
pub(super) async fn set(
    supervisor: &Supervisor,
    flags: &[(String, Option<String>)],
) -> Result<Response, Failure> {
    let flags: Vec<_> = flags
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    supervisor.lab.lock().await.set_flags(&flags).await?;
    Ok(Response::Done)
}
