//! What the apiserver remembers of its webhook's answers, and what it does not.
//!
//! There are two memories, one in the other: around the webhook one for successes and refusals, by
//! default for 2 minutes each (`--authentication-token-webhook-cache-ttl`); around all that knows
//! tokens one for successes alone, for 10 seconds, which no flag changes.

use http::StatusCode;
use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::{Act, RawAnswer, SharedLab};
use tokenlab_webhook::Decision;

use crate::lab::evidence::Asked;
use crate::lab::identities::{ann, revoked};
use crate::lab::planes::{short_lived, uncached};
use crate::lab::serial::serial;
use crate::support::{answer, assert_reviewed, bare_only, lab};

/// Who was let in or refused once is not asked about again.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, v1.37.2
///   (`newWebhookTokenAuthenticator`)
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
/// - Upstream test: `TestV1WebhookCacheAndRetry` (unit; one layer, no refusal)
/// - Seen by users: kubernetes/kubernetes#25694, P11
#[rstest]
#[case::a_success(ann(), 403)]
#[case::a_refusal(Decision::Refused, 401)]
#[tokio::test]
async fn is_remembered(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] decision: Decision,
    #[case] status: u16,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(decision);

    let first = Asked::new(&lab, lab.scripted(), &token).await.asked(1);
    let second = Asked::new(&lab, lab.scripted(), &token).await.asked(0);

    assert_eq!((first.status, second.status), (status, status));
}

/// An error is not remembered: the next request asks anew, and is let in when that goes well.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, v1.37.2
///   (`newWebhookTokenAuthenticator`)
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
///   (`cacheErrs`)
/// - Upstream test: `TestV1WebhookCacheAndRetry` (unit; one layer, status codes)
#[rstest]
#[case::in_the_answer(answer(&json!({ "error": "the directory is away" })))]
#[case::by_its_status(RawAnswer::new(StatusCode::SERVICE_UNAVAILABLE, ""))]
#[case::that_is_no_review(RawAnswer::new(StatusCode::OK, "<html>"))]
#[tokio::test]
async fn no_error_is_remembered(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] error: RawAnswer,
) {
    let lab = bare_only!(lab, context);
    let play = Act::answer(error).times(2).then(ann());
    let token = lab.scripted().token(play);

    for _ in 0..2 {
        let seen = Asked::new(&lab, lab.scripted(), &token).await;
        let _ = seen.unauthorized().asked(1);
    }
    let seen = Asked::new(&lab, lab.scripted(), &token).await;
    let _ = seen.forbidden("ann").asked(1);
}

/// With no time to remember, each request of somebody who is refused is a call of the webhook.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
/// - Upstream test: `TestCachedTokenAuthenticator` (unit; one layer)
#[rstest]
#[tokio::test]
async fn a_refusal_with_no_time_is_asked_each_time(
    #[future] uncached: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(uncached, context);
    let token = lab.scripted().token(Decision::Refused);

    for _ in 0..3 {
        let seen = Asked::new(&lab, lab.scripted(), &token).await;
        let _ = seen.unauthorized().asked(1);
    }
}

/// The apiserver warns at its start of a time that is shorter than the ten seconds for which a
/// success stays anyhow; of no time at all, to which that happens as well, it does not.
///
/// - Source: `kubernetes/pkg/kubeapiserver/options/authentication.go`, v1.37.2
///   (`ToAuthenticationConfig`)
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_short_time_is_warned_of(
    #[future] short_lived: SharedLab,
    #[future] uncached: SharedLab,
    #[context] context: Context,
) {
    let short_lived = bare_only!(short_lived, context);
    let uncached = uncached.await;

    let warned = warning(&short_lived).expect("must be logged");

    assert_reviewed!(context, warned);
    assert_eq!(warning(&uncached), None);
}

/// What the apiserver logged of the webhook's cache, without time and place.
fn warning(lab: &SharedLab) -> Option<String> {
    let log = lab.control_plane().logs().join("kube-apiserver.log");
    let log = std::fs::read_to_string(log).expect("must be there");
    let line = log
        .lines()
        .find(|line| line.contains("webhook cache ttl"))?;
    Some(line.split_once("] ").expect("has a place").1.to_owned())
}

/// A restart of the apiserver empties its memory: whoever was let in is asked about anew.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_restart_empties_it(#[context] context: Context) {
    let mut lab = bare_only!(serial(), context);
    let token = lab.scripted().token(revoked());
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);

    let restarted = lab.control_plane_mut().restart(|_| {}).await;
    restarted.expect("must come back");

    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
}

/// Each apiserver has a memory of its own. So of two on one etcd the one lets in whom the other
/// refuses, for as long as it remembers: which answer a user gets is up to the load balancer.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
///   (a key per process)
/// - Upstream test: none
/// - Seen by users: kubernetes/kubernetes#50258, P11
#[rstest]
#[tokio::test]
async fn two_apiservers_do_not_agree(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(revoked());
    let other = lab.control_plane().peer().await.expect("must start");
    let client = tokenlab_harness::client(&other.asked_by(lab.token_user(&token))).await;
    let client = client.expect("must be made");
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);

    let refused = client.apiserver_version().await;

    assert!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.code == 401),
        "{refused:?}"
    );
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(0);
    assert_eq!(lab.scripted().calls(&token).len(), 2);
    other.kill().await;
}
