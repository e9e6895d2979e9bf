//! One TokenReview, in each version, straight to the webhook.

use tokenlab_webhook::{ApiVersion, Token};

use super::{Failure, Response, Supervisor};

/// Posts it and returns the answers.
pub(super) async fn post(
    supervisor: &Supervisor,
    token: &Token,
    audiences: &[String],
) -> Result<Response, Failure> {
    let lab = supervisor.lab.read().await;
    // A webhook that is a program may log what it is asked.
    lab.folder().know(token);
    let mut answers = Vec::new();
    // The one that the apiserver speaks by default comes first.
    for version in [ApiVersion::V1Beta1, ApiVersion::V1] {
        answers.push(lab.review(version, token, audiences).await?);
    }
    Ok(Response::Reviewed(answers))
}
