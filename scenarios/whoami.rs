//! Who one is to the apiserver, whatever one shows it.

use std::time::Duration;

use http::{Request, header};
use serde_json::Value;
use tokenlab_harness::{Kubeconfig, Poll, client};
use tokenlab_webhook::Token;

const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;

/// Longer than anything takes to get about in a control plane.
pub(crate) const SOON: Poll = Poll {
    every: Duration::from_millis(50),
    within: Duration::from_secs(60),
};

/// A header of a request.
pub(crate) type Header = (&'static str, String);

/// The header that shows a token.
pub(crate) fn bearer(token: &Token) -> Header {
    ("authorization", format!("Bearer {}", token.expose()))
}

/// The name that the apiserver has for who shows this identity, and these headers; or the HTTP status
/// of its refusal.
pub(crate) async fn whoami(identity: &Kubeconfig, headers: &[Header]) -> Result<String, u16> {
    let question = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header(header::CONTENT_TYPE, "application/json");
    let question = headers.iter().fold(question, |question, (name, value)| {
        question.header(*name, value)
    });
    let question = question.body(REVIEW.into()).expect("must be a request");
    let client = client(identity).await.expect("must be made");
    match client.request::<Value>(question).await {
        Ok(review) => {
            let name = review["status"]["userInfo"]["username"].as_str();
            Ok(name.expect("must have a name").to_owned())
        }
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("the apiserver must answer: {error}"),
    }
}
