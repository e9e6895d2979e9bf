//! Kubeconfigs for those who show a token.

use std::collections::HashMap;

use camino::Utf8PathBuf;
use tokenlab_webhook::Token;

use super::{Failure, Response, Supervisor};

/// The kubeconfig of each token that was asked for. They stay as long as the lab: by them the
/// diagnostics know what to redact.
pub(super) type Users = HashMap<Token, Utf8PathBuf>;

/// The kubeconfig of whoever shows this token.
pub(super) async fn kubeconfig(supervisor: &Supervisor, token: Token) -> Result<Response, Failure> {
    let mut users = supervisor.users.lock().await;
    if let Some(path) = users.get(&token) {
        return Ok(Response::Kubeconfig(path.clone()));
    }
    let kubectl = supervisor.lab.read().await.kubectl_as(&token)?;
    let path = kubectl.kubeconfig().to_owned();
    users.insert(token, path.clone());
    Ok(Response::Kubeconfig(path))
}
