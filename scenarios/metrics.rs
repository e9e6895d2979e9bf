//! What the apiserver counts of its webhook, and what these numbers can tell apart.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::StatusCode;
use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::RawAnswer;

use crate::lab::counters::host;
use crate::lab::evidence::Asked;
use crate::lab::serial::serial;
use crate::support::{answer, bare_only};

/// Both memories count in the same series: what nobody remembers is missed twice, a refusal that is
/// remembered is missed once and hit once. Only `fetch_total` tells an error from a refusal.
///
/// - Source: `apiserver/pkg/authentication/token/cache/stats.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::a_new_user(let_in(), 0, &[(MISS, 2), (FETCHED, 2)])]
#[case::a_known_user(let_in(), 1, &[(HIT, 1)])]
#[case::somebody_refused(refusal(), 0, &[(MISS, 2), (FETCHED, 2)])]
#[case::somebody_refused_again(refusal(), 1, &[(MISS, 1), (HIT, 1), (FETCHED, 1)])]
#[case::an_error(error(), 0, &[(MISS, 2), (FAILED, 2)])]
#[case::an_error_again(error(), 1, &[(MISS, 2), (FAILED, 2)])]
#[tokio::test]
async fn the_caches_count(
    #[context] context: Context,
    #[case] answer: RawAnswer,
    #[case] requests_before: usize,
    #[case] counted: &[(&str, u64)],
) {
    let lab = bare_only!(serial(), context);
    let seen = loop {
        let start = Instant::now();
        let token = lab.scripted().token(answer.clone());
        for _ in 0..requests_before {
            let _ = Asked::new(&lab, lab.scripted(), &token).await;
        }
        let seen = Asked::counted(&lab, lab.scripted(), &token).await;
        // A machine that stalled for that long shows what is forgotten, not what is remembered.
        if start.elapsed() < REMEMBERED {
            break seen;
        }
    };

    let grown = seen.grown.of("authentication_token_cache_");
    let counted: BTreeMap<_, _> = counted.iter().copied().collect();
    assert_eq!(grown, counted, "{seen}");
}

/// Of a token that nobody knows and of a webhook that is broken the apiserver counts the same: an
/// attempt with an error. There is no attempt that failed. Users who are known it counts apart, by
/// what kind of name they have.
///
/// - Source: `apiserver/pkg/endpoints/filters/metrics.go`, v0.37.2
/// - Source: `apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2
/// - Upstream test: `TestMetrics` (unit; one filter)
#[rstest]
#[case::a_success(let_in_by_mail(), BY_MAIL)]
#[case::a_refusal(refusal(), ERRORS)]
#[case::an_error(error(), ERRORS)]
#[tokio::test]
async fn an_attempt_is_counted_as(
    #[context] context: Context,
    #[case] answer: RawAnswer,
    #[case] counter: &str,
) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(answer);

    let seen = Asked::counted(&lab, lab.scripted(), &token).await;

    let mut grown = seen.grown.of("authenticat");
    // The admin who reads the counters is known too, and so are the apiserver's own clients.
    grown.retain(|series, _| [BY_MAIL, ERRORS, FAILURES].contains(series));
    assert_eq!(grown, BTreeMap::from([(counter, 1)]), "{seen}");
}

/// There is no metric of the webhook's own, but the one of all of the apiserver's clients tells by
/// its address how often it was asked, and what it answered.
///
/// - Source: `kubernetes/cmd/kube-apiserver/apiserver.go`, v1.37.2 (it registers client-go's
///   metrics)
/// - Source: `component-base/metrics/prometheus/restclient/metrics.go`, v0.37.2 (`requestResult`)
/// - Upstream test: `TestClientGOMetrics` (unit; the metric alone)
/// - Seen by users: kubernetes/kubernetes#117167, P16
#[rstest]
#[case::a_success(let_in(), "200")]
#[case::a_refusal(refusal(), "200")]
#[case::no_permission(RawAnswer::new(StatusCode::FORBIDDEN, "no"), "403")]
#[tokio::test]
async fn the_client_counts(
    #[context] context: Context,
    #[case] answer: RawAnswer,
    #[case] code: &str,
) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(answer);

    let seen = Asked::counted(&lab, lab.scripted(), &token).await;

    let calls = seen.grown.calls(&host(lab.webhook()));
    assert_eq!(calls, BTreeMap::from([(code, 1)]), "{seen}");
}

const HIT: &str = r#"authentication_token_cache_request_total{status="hit"}"#;
const MISS: &str = r#"authentication_token_cache_request_total{status="miss"}"#;
const FETCHED: &str = r#"authentication_token_cache_fetch_total{status="ok"}"#;
const FAILED: &str = r#"authentication_token_cache_fetch_total{status="error"}"#;
const ERRORS: &str = r#"authentication_attempts{result="error"}"#;
const FAILURES: &str = r#"authentication_attempts{result="failure"}"#;
/// Whoever's name has an `@` in it.
const BY_MAIL: &str = r#"authenticated_user_requests{username="email_id"}"#;

/// How long whoever was let in is known at the least
/// (`kubernetes/pkg/kubeapiserver/options/authentication.go`, v1.37.2,
/// `NewBuiltInAuthenticationOptions`).
const REMEMBERED: Duration = Duration::from_secs(10);

fn let_in() -> RawAnswer {
    answer(&json!({ "authenticated": true, "user": { "username": "ann" } }))
}

fn let_in_by_mail() -> RawAnswer {
    answer(&json!({ "authenticated": true, "user": { "username": "ann@example.org" } }))
}

fn refusal() -> RawAnswer {
    answer(&json!({ "authenticated": false }))
}

fn error() -> RawAnswer {
    answer(&json!({ "error": "the directory is away" }))
}
