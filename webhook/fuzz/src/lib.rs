//! What must hold for any input. The fuzzer looks for one for which it does not; the tests of the
//! package go through those that it has kept.

use std::sync::LazyLock;

use axum::body::{Body, to_bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use tokenlab_webhook::{Mock, Review, RouterBuilder, review};
use tower::ServiceExt as _;

/// Any octets as a body.
pub fn decode(body: &[u8]) {
    match review::decode(body) {
        Ok(review) => understood(body, &review),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            assert!(text.len() < 1000, "{text}");
        }
    }
}

fn understood(body: &[u8], review: &Review) {
    let token = review.token.expose();
    assert!(!token.is_empty());
    let parts = json!({
        "apiVersion": review.api_version.as_str(),
        "kind": "TokenReview",
        "spec": { "token": token, "audiences": &review.audiences },
    });
    let again = review::decode(parts.to_string().as_bytes()).expect("must be readable");
    assert_eq!(again.token, review.token);
    assert_eq!(again.audiences, review.audiences);
    assert_eq!(again.api_version, review.api_version);
    // Another reader, that looks at all of it, and so cannot read some that nobody reads.
    if let Ok(whole) = serde_json::from_slice::<Value>(body) {
        assert_eq!(whole["apiVersion"], parts["apiVersion"]);
        assert_eq!(whole["kind"], parts["kind"]);
        assert_eq!(whole["spec"]["token"], parts["spec"]["token"]);
        let audiences = &whole["spec"]["audiences"];
        let none = audiences.is_null() && review.audiences.is_empty();
        assert!(none || *audiences == parts["spec"]["audiences"]);
    }
}

/// Three parts, a line for each of the first two: the content type, the query and the body.
pub fn request(input: &[u8]) {
    let mut parts = input.splitn(3, |&octet| octet == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let Ok(content_type) = HeaderValue::from_bytes(next()) else {
        return;
    };
    let query = String::from_utf8_lossy(next());
    let request = Request::post(format!("/authenticate?{query}"))
        .header(CONTENT_TYPE, content_type)
        .body(Body::from(next().to_vec()));
    let Ok(request) = request else {
        return;
    };
    RUNTIME.block_on(async {
        // So small that the fuzzer comes to what is too large.
        let router = RouterBuilder::new(Mock).body_limit(512).build();
        let Ok(response) = router.oneshot(request).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await;
        let body: Value = serde_json::from_slice(&body.expect("a body")).expect("JSON");
        if status == StatusCode::OK {
            assert_eq!(body["kind"], "TokenReview");
            assert_eq!(body["status"]["authenticated"], true);
        } else {
            assert_eq!(body["kind"], "Status");
            assert_eq!(body["code"], status.as_u16());
            let expected = [400, 413, 415];
            assert!(expected.contains(&status.as_u16()), "{body}");
        }
    });
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime")
});
