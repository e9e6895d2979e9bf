//! TokenReviews by hand: answers that the product would not give, and questions to the apiserver.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use serde_json::{Value, json};
use tokenlab_harness::{Lab, Poll, RawAnswer};
use tokenlab_webhook::{ApiVersion, Token};

/// Long enough for a busy machine; nothing that works takes that long.
pub(crate) const SOON: Poll = Poll {
    every: Duration::from_millis(50),
    within: Duration::from_secs(60),
};

/// An answer with this status, in the version that the apiserver asks in by default.
pub(crate) fn answer(status: &Value) -> RawAnswer {
    RawAnswer::json(&review(status))
}

/// That answer's body.
pub(crate) fn review(status: &Value) -> Value {
    json!({
        "apiVersion": ApiVersion::V1Beta1.as_str(),
        "kind": "TokenReview",
        "status": status,
    })
}

/// Has the apiserver review a token for these audiences, as a server does that is shown tokens by
/// its callers and cannot tell whose they are.
pub(crate) async fn reviewed(lab: &Lab, token: &Token, audiences: &[&str]) -> TokenReviewStatus {
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: token.expose().to_owned(),
            audiences: Some(audiences.iter().map(|&name| name.to_owned()).collect()),
        },
        ..TokenReview::default()
    };
    let admin = lab.client().await.expect("must be made");
    let reviews = kube::Api::<TokenReview>::all(admin);
    let answer = reviews.create(&PostParams::default(), &review).await;
    let answer = answer.expect("the admin may ask");
    answer.status.expect("must be answered")
}
