//! A webhook that answers, and not as it should: which bodies the apiserver takes, and what it says
//! of those that it does not.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::{Act, RawAnswer, SharedLab};

use crate::lab::attempts::assert_logged;
use crate::lab::evidence::Asked;
use crate::lab::failing::{Fails, SECONDS};
use crate::lab::serial::serial;
use crate::support::{self, bare_only, lab};

/// What a webhook should say: the token is ann's.
fn review() -> Value {
    support::review(&json!({"authenticated": true, "user": {"username": "ann"}}))
}

/// That review without one of its fields.
fn without(field: &str) -> RawAnswer {
    let mut review = review();
    review.as_object_mut().expect("is one").remove(field);
    RawAnswer::json(&review)
}

/// That review with one of its fields changed.
fn changed(pointer: &str, value: impl Into<Value>) -> RawAnswer {
    let mut review = review();
    *review.pointer_mut(pointer).expect("is there") = value.into();
    RawAnswer::json(&review)
}

/// A text, and the media type that it is said to be of.
fn text(content_type: &'static str, text: impl Into<String>) -> RawAnswer {
    RawAnswer::new(StatusCode::OK, text.into())
        .with_header(CONTENT_TYPE, HeaderValue::from_static(content_type))
}

fn json_text(body: impl Into<String>) -> RawAnswer {
    text("application/json", body)
}

fn status(code: u16, body: impl Into<String>) -> RawAnswer {
    RawAnswer::new(StatusCode::from_u16(code).expect("is one"), body.into())
}

/// A body that the apiserver cannot read is an error to it: its user gets 401, and its log says
/// what is wrong.
///
/// A body that is no JSON is taken for YAML: plain words are a text to it.
///
/// - Source: `client-go/rest/request.go`, `transformResponse` and `Result.Into`, v0.37.2;
///   `apimachinery/pkg/runtime/serializer/json/json.go`, `Decode`, v0.37.2
/// - Upstream test: `TestTransformResponse`, `TestDecode` (unit; no webhook)
/// - Seen by users: kubernetes/kubernetes#90462, P14
#[rstest]
#[case::empty(json_text(""))]
#[case::garbage(json_text("out of order"))]
#[case::html(text("text/html", "<html><body>Welcome to nginx!</body></html>"))]
#[case::cut(json_text(&review().to_string()[..40]))]
#[case::cut_on_the_wire(RawAnswer::json(&review()).cut_after(40))]
#[case::a_list(json_text("[]"))]
#[case::two_reviews(json_text(format!("{0}{0}", review())))]
#[case::of_no_content(status(204, ""))]
#[case::a_status_of_success(json_text(
    r#"{"apiVersion":"v1","kind":"Status","status":"Success"}"#
))]
#[case::a_status_of_failure(json_text(
    r#"{"apiVersion":"v1","kind":"Status","status":"Failure"}"#
))]
#[case::a_review_as_303_without_a_location(status(303, review().to_string()))]
#[case::a_review_as_401(status(401, review().to_string()))]
#[case::a_review_as_multi_status(status(207, review().to_string()))]
#[tokio::test]
async fn an_answer_that_cannot_be_read(#[context] context: Context, #[case] answer: RawAnswer) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(answer);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.unauthorized().asked(1);
    assert_logged(&context, &seen);
}

/// A body that says nothing of `authenticated` is a refusal, like any other: it is remembered.
///
/// The names of fields are told apart by case.
///
/// - Source: `apimachinery/pkg/runtime/serializer/json/json.go`
///   (`UnmarshalCaseSensitivePreserveInts`), v0.37.2
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; an empty status)
#[rstest]
#[case::null(json_text("null"))]
#[case::an_empty_object(json_text("{}"))]
#[case::no_status(without("status"))]
#[case::authenticated_in_upper_case(json_text(review().to_string().replace("authenticated", "Authenticated")))]
#[case::status_in_upper_case(json_text(review().to_string().replace("status", "Status")))]
#[tokio::test]
async fn a_body_that_says_nothing_is_a_refusal(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] answer: RawAnswer,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(answer);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;
    let _ = seen.unauthorized().asked(1);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;
    let _ = seen.unauthorized().asked(0);
}

/// The apiserver takes much that is not quite as it should be: any media type, YAML, 201 or 206 for
/// 200, a body of eight megabytes, fields that nobody knows; of a field that stands twice, the
/// last.
///
/// - Source: `client-go/rest/request.go`, `transformResponse`, v0.37.2;
///   `apiserver/pkg/util/webhook/webhook.go`, `NewGenericWebhook`, v0.37.2;
///   `apimachinery/pkg/runtime/serializer/json/json.go`, `Decode`, v0.37.2
/// - Upstream test: `TestTransformResponse`, `TestDecode` (unit; no webhook)
#[rstest]
#[case::of_no_media_type(status(200, review().to_string()))]
#[case::of_another_media_type(text("text/html; charset=latin1", review().to_string()))]
#[case::in_yaml(json_text(
    "status: {authenticated: true, user: {username: ann}}\nkind: TokenReview\n\
     apiVersion: authentication.k8s.io/v1beta1\n"
))]
#[case::gzipped(RawAnswer::json(&review()).gzipped())]
#[case::in_many_pieces(RawAnswer::json(&review()).piecewise(8, Duration::from_millis(10)))]
#[case::of_eight_megabytes(json_text(format!("{}{}", review(), " ".repeat(8 << 20))))]
#[case::with_an_unknown_field(changed("/status", json!({
    "authenticated": true, "user": {"username": "ann", "age": 42}, "mood": "good"
})))]
#[case::with_a_field_twice(json_text(
    review().to_string().replace("{\"authenticated\":true", "{\"authenticated\":false,\"authenticated\":true")
))]
#[case::created(status(201, review().to_string()))]
#[case::partial(status(206, review().to_string()))]
#[tokio::test]
async fn what_is_taken_nevertheless(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] answer: RawAnswer,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(answer);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(1);
}

/// A webhook that is slow is waited for, and its user with it.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `defaultRequestTimeout`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::before_it_answers(Act::from(RawAnswer::json(&review())).after(PAUSE))]
#[case::within_the_body(RawAnswer::json(&review()).piecewise(usize::MAX, PAUSE).into())]
#[tokio::test]
async fn a_slow_webhook_is_waited_for(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] act: Act,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(act);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(1).took_at_least(PAUSE);
}

const PAUSE: Duration = Duration::from_millis(600);

/// A header that names no media type is taken for a fault of the server that may pass: the webhook
/// is asked five times, although its answer is right.
///
/// - Source: `client-go/rest/request.go`, `transformResponse` (`mime.ParseMediaType`), v0.37.2
/// - Upstream test: `TestTransformResponseNegotiate` (unit; no webhook, and an answer of 500)
#[rstest]
#[tokio::test]
async fn a_broken_content_type_is_asked_about_again(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);

    let seen = SECONDS.asked(&lab, Fails::Untyped).await;

    let _ = seen.unauthorized().asked(5);
}
