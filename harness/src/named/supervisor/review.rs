//! One TokenReview, in each version, straight to the webhook.

use tokenlab_webhook::{ApiVersion, Token};

use super::{Failure, Response, Supervisor};
use crate::backend::{MockLab, MockLabError};

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
        match lab.review(version, token, audiences).await {
            Ok(answer) => answers.push(answer),
            Err(error) => return Err(failure(&lab, error).await),
        }
    }
    Ok(Response::Reviewed(answers))
}

async fn failure(lab: &MockLab, error: MockLabError) -> Failure {
    let mut failure = Failure::from(error);
    if let MockLab::Bare(lab) = lab
        && matches!(lab.webhook().is_up().await, Ok(false))
    {
        failure.hint = Some("`tokenlab set --up` has it listen again".to_owned());
    }
    failure
}
