//! How often one request asks the webhook, and how long its user waits: for what may pass up to
//! five times, and much more often where a Retry-After is sent.

use std::time::Duration;

use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::{Act, RawAnswer, SharedLab};
use tokenlab_webhook::Decision;

use crate::lab::attempts::assert_logged;
use crate::lab::evidence::{Asked, PATIENCE, called};
use crate::lab::failing::{A_DATE, Fails, HALF_A_MINUTE, SECONDS, in_json, status};
use crate::lab::identities::ann;
use crate::lab::serial::serial;
use crate::support::{answer, bare_only, lab, slow};

use Fails::{For, HalfSilent, Late, Silent, Told, With};

/// The pauses between five attempts: 500 ms, and half as much again each time; jitter only adds
/// (`apiserver/pkg/server/options/authentication.go`, `DefaultAuthWebhookRetryBackoff`, v0.37.2).
const FOUR_PAUSES: Duration = Duration::from_millis(4_062);

/// When that is nearly over: a wait of 30 seconds and the lookup end together, and either may be
/// first.
const LATE: Duration = Duration::from_secs(29);

/// What will not pass is asked once; the log has a sentence for each status.
///
/// A 503 is among them, unless it comes with a Retry-After. Of a 403 and a 415 the log tells the
/// body alone, and `unknown` where that is not said to be a text.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2;
///   `client-go/rest/request.go`, `newUnstructuredResponseError`, v0.37.2;
///   `apimachinery/pkg/api/errors/errors.go`, `NewGenericServerResponse`, v0.37.2
/// - Upstream test: `TestV1WebhookCacheAndRetry` (unit; 404), `TestTransformUnstructuredError`
///   (unit; no webhook)
/// - Seen by users: kubernetes-sigs/aws-iam-authenticator#379, kubernetes/kubernetes#90462,
///   rancher/rancher#57218, P9, P14
#[rstest]
#[case::bad_request(status(400))]
#[case::unauthorized(status(401))]
#[case::forbidden(status(403))]
#[case::forbidden_in_json(in_json(status(403)))]
#[case::not_found(status(404))]
#[case::method_not_allowed(status(405))]
#[case::request_timeout(status(408))]
#[case::conflict(status(409))]
#[case::too_large(status(413))]
#[case::unsupported_media_type(status(415))]
#[case::unprocessable(status(422))]
#[case::service_unavailable(status(503))]
#[tokio::test]
async fn what_will_not_pass_is_asked_once(#[context] context: Context, #[case] answer: RawAnswer) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(answer);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.unauthorized().asked(1);
    assert_logged(&context, &seen);
}

/// What may pass is asked five times within the same request: its user waits four to five seconds.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2;
///   `apiserver/pkg/server/options/authentication.go`, `DefaultAuthWebhookRetryBackoff`, v0.37.2
/// - Upstream test: `TestV1WebhookCacheAndRetry` (unit; 500 and 429, with pauses of 5 ms)
#[rstest]
#[case::too_many_requests(429)]
#[case::internal_error(500)]
#[case::not_implemented(501)]
#[case::bad_gateway(502)]
#[case::gateway_timeout(504)]
#[case::unheard_of(599)]
#[tokio::test]
async fn what_may_pass_is_asked_five_times(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] code: u16,
) {
    let lab = bare_only!(lab, context);

    let seen = SECONDS.asked(&lab, With(code)).await;

    let _ = seen.unauthorized().asked(5).took_at_least(FOUR_PAUSES);
}

/// The attempt that is answered counts: its user hears nothing of those before.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `WithExponentialBackoff`, v0.37.2
/// - Upstream test: `TestWithExponentialBackoff` (unit; a function in the webhook's place)
#[rstest]
#[case::that_knows_the_token(ann().into())]
#[case::that_refuses_it(Decision::Refused.into())]
#[tokio::test]
async fn the_attempt_that_is_answered_counts(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] answer: Act,
) {
    let lab = bare_only!(lab, context);
    let known = answer.decision() == Some(&ann());
    let token = lab.scripted().token(Act::from(status(500)).then(answer));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.asked(2);
    let _ = if known {
        seen.forbidden("ann")
    } else {
        seen.unauthorized()
    };
}

/// A user who gives up does not end the lookup: who comes next shares it, and its answer is
/// remembered.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`,
///   `doAuthenticateToken`, v0.37.2
/// - Upstream test: `TestSharedLookup` (unit; an authenticator in the webhook's place)
#[rstest]
#[tokio::test]
async fn a_user_who_gives_up_does_not_end_the_lookup(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let ann = answer(&json!({"authenticated": true, "user": {"username": "ann"}}));
    let late = Act::from(ann).after(Duration::from_secs(2));
    let token = lab.scripted().token(late);
    tokio::select! {
        biased;
        () = called(lab.scripted(), std::slice::from_ref(&token)) => {}
        seen = Asked::new(&lab, lab.scripted(), &token) => panic!("must not end: {seen}"),
    }

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(0);
}

/// A Retry-After has each attempt repeated ten times: up to 55 reviews for one request.
///
/// With `0` they come without a pause. 503 is repeated but not attempted anew, as `0` is no delay
/// that is suggested. On any status but 429 and 5xx the header does the opposite: no repetition,
/// but new attempts, where it is more than 0. A date in the header counts for nothing.
///
/// - Source: `client-go/rest/with_retry.go`, `IsNextRetry` and `checkWait`, v0.37.2;
///   `client-go/rest/request.go` (`maxRetries` is 10), v0.37.2;
///   `apimachinery/pkg/api/errors/errors.go`, `SuggestsClientDelay`, v0.37.2
/// - Upstream test: `TestCheckRetryHandles429And5xx`, `TestIsNextRetry` (unit; one layer of two)
#[rstest]
#[case::too_many_requests(For(429, "0"), 55)]
#[case::internal_error(For(500, "0"), 55)]
#[case::bad_gateway(For(502, "0"), 55)]
#[case::service_unavailable(For(503, "0"), 11)]
#[case::gateway_timeout(For(504, "0"), 55)]
#[case::not_found(For(404, "0"), 1)]
#[case::unauthorized_for_a_second(For(401, "1"), 5)]
#[case::not_found_for_a_second(For(404, "1"), 5)]
#[case::too_many_requests_until_a_date(For(429, A_DATE), 5)]
#[case::service_unavailable_until_a_date(For(503, A_DATE), 1)]
#[tokio::test]
async fn retry_after_multiplies_the_reviews(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] webhook: Fails,
    #[case] times: usize,
) {
    let lab = bare_only!(lab, context);

    let seen = SECONDS.asked(&lab, webhook).await;

    let _ = seen.unauthorized().asked(times);
}

/// A Retry-After is waited for, as long as the 30 seconds of the whole lookup last; the user with
/// it.
///
/// With `1` that is a review each second, with `30` one alone: a second one may still be sent when
/// the time is over, and nobody waits for its answer.
///
/// - Source: `client-go/rest/with_retry.go`, `Before`, v0.37.2;
///   `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`,
///   `sharedLookupTimeout`, v0.37.2
/// - Upstream test: `TestRequestDoWithRetry` (unit; no webhook)
/// - Class: slow
#[rstest]
#[case::too_many_requests_for_a_second(For(429, "1"), 12..=31)]
#[case::internal_error_for_a_second(For(500, "1"), 12..=31)]
#[case::service_unavailable_for_a_second(For(503, "1"), 12..=31)]
#[case::too_many_requests_for_thirty(For(429, "30"), 1..=1)]
#[case::internal_error_for_thirty(For(500, "30"), 1..=1)]
#[case::service_unavailable_for_thirty(For(503, "30"), 1..=1)]
#[tokio::test]
async fn retry_after_is_waited_for(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] webhook: Fails,
    #[case] times: std::ops::RangeInclusive<usize>,
) {
    slow!(context);
    let lab = bare_only!(lab, context);

    let seen = HALF_A_MINUTE.asked(&lab, webhook).await;

    let seen = seen.unauthorized().took_at_least(PATIENCE);
    let first = seen.calls[0].at;
    let in_time = seen.calls.iter().filter(|call| call.at - first < LATE);
    assert!(times.contains(&in_time.count()), "{seen}");
}

/// A `Status` in the body overrules the HTTP status: its reason and its delay say whether to ask
/// again.
///
/// - Source: `client-go/rest/request.go`, `Result.Error` and `Result.Into`, v0.37.2
/// - Upstream test: `TestTransformUnstructuredError` (unit; a status of 404 in a 400)
#[rstest]
#[case::forbidden_as_500(Told(500, "Forbidden", 0), 1)]
#[case::internal_error_as_403(Told(403, "InternalError", 0), 5)]
#[case::timeout_as_503(Told(503, "Timeout", 0), 5)]
#[case::a_delay_as_503(Told(503, "ServiceUnavailable", 1), 5)]
#[tokio::test]
async fn a_status_in_the_body_overrules_the_http_status(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] webhook: Fails,
    #[case] times: usize,
) {
    let lab = bare_only!(lab, context);

    let seen = SECONDS.asked(&lab, webhook).await;

    let _ = seen.unauthorized().asked(times);
}

/// The webhook has 30 seconds, all its attempts and the last octet of the body included: then the
/// user gets 401. There is no flag for it.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `defaultRequestTimeout`, v0.37.2;
///   `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`,
///   `sharedLookupTimeout`, v0.37.2
/// - Upstream test: `TestRequestTimeout` (unit; another timeout)
/// - Seen by users: kubernetes/kubernetes#60914, P15
/// - Class: slow
#[rstest]
#[case::no_answer(Silent, 1)]
#[case::half_a_body(HalfSilent, 1)]
#[case::errors_that_come_late(Late, 4)]
#[tokio::test]
async fn the_webhook_has_thirty_seconds(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] webhook: Fails,
    #[case] times: usize,
) {
    slow!(context);
    let lab = bare_only!(lab, context);

    let seen = HALF_A_MINUTE.asked(&lab, webhook).await;

    let _ = seen.unauthorized().asked(times).took_at_least(PATIENCE);
}

/// What comes within the 30 seconds counts, however late.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `defaultRequestTimeout`, v0.37.2
/// - Upstream test: none
/// - Class: slow
#[rstest]
#[tokio::test]
async fn a_late_answer_counts(#[future] lab: SharedLab, #[context] context: Context) {
    slow!(context);
    let lab = bare_only!(lab, context);

    let late = Duration::from_secs(25);
    let token = lab.scripted().token(Act::from(ann()).after(late));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(1).took_at_least(late);
}
