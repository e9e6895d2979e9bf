//! How long the apiserver goes on believing what is no longer so.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use rstest::{Context, rstest};
use tokenlab_harness::{Act, Poll, Probe, SharedLab, until};
use tokenlab_webhook::{Decision, Token, User};

use crate::lab::evidence::Asked;
use crate::lab::identities::{ann, revoked};
use crate::lab::planes::{short_lived, uncached};
use crate::support::{bare_only, lab, slow};

/// How long whoever was let in is known at the least
/// (`kubernetes/pkg/kubeapiserver/options/authentication.go`, v1.37.2,
/// `NewBuiltInAuthenticationOptions`).
const OVERALL: Duration = Duration::from_secs(10);
/// How long by default the apiserver remembers what the webhook said (the same file,
/// `WithWebHook`).
const WEBHOOKS: Duration = Duration::from_secs(120);
/// When that is almost over: as late as a busy machine can be sure to be in time.
const ALMOST: Duration = Duration::from_secs(110);

/// A refusal is forgotten after the time that the flag says, here one second, and not before: a
/// user who is known by now waits that long.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
/// - Upstream test: `TestCachedTokenAuthenticator` (unit; a clock that is made up)
/// - Seen by users: kubernetes/kubernetes#50258, P11
#[rstest]
#[tokio::test]
async fn a_refusal_is_forgotten_after_its_time(
    #[future] short_lived: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(short_lived, context);
    let token = lab
        .scripted()
        .token(Act::from(Decision::Refused).then(ann()));
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized();
    let refused = lab.scripted().calls(&token)[0].at;

    let changed = until_answered(&lab, &token, 403).await;

    assert!(changed.duration_since(refused) >= Duration::from_secs(1));
    assert_eq!(lab.scripted().calls(&token).len(), 2);
}

/// Whoever was let in stays in for ten seconds, whatever the webhook says by then and whatever the
/// flag says: a second, or nothing at all. So no token can be revoked faster than that, and no
/// change of name or groups is seen faster.
///
/// - Source: `kubernetes/pkg/kubeapiserver/options/authentication.go`, v1.37.2
///   (`TokenSuccessCacheTTL`, which no flag sets)
/// - Upstream test: none
/// - Seen by users: zalando-incubator/kubernetes-on-aws#596, openshift/enhancements#403, P11
#[rstest]
#[case::revoked_with_a_second("1s", Decision::Refused, 401)]
#[case::revoked_with_none("0s", Decision::Refused, 401)]
#[case::called_otherwise("0s", Decision::authenticated(User::new("bob")), 403)]
#[case::an_admin("0s", Decision::authenticated(User::new("ann").with_group("system:masters")), 200)]
#[tokio::test]
async fn a_success_stays_for_ten_seconds(
    #[context] context: Context,
    #[case] ttl: &str,
    #[case] becomes: Decision,
    #[case] status: u16,
) {
    let lab = match ttl {
        "0s" => bare_only!(uncached(), context),
        _ => bare_only!(short_lived(), context),
    };
    let token = lab.scripted().token(Act::from(ann()).then(becomes));
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);
    let let_in = lab.scripted().calls(&token)[0].at;

    let changed = until("the change is seen", POLL, async || {
        let seen = Asked::new(&lab, lab.scripted(), &token).await;
        let as_before = seen.message.contains(r#"User "ann""#);
        if as_before {
            return Probe::<_, Infallible>::NotYet(seen.message.into());
        }
        assert_eq!(seen.status, status, "{seen}");
        Probe::Ready(Instant::now())
    });
    let changed = changed.await.expect("must be seen");

    assert!(changed.duration_since(let_in) >= OVERALL);
    assert_eq!(lab.scripted().calls(&token).len(), 2);
}

/// A token that was revoked lets its bearer in for up to 2 minutes and 10 seconds: shown shortly
/// before the webhook's answer is forgotten, it is good for the ten seconds that any success is.
/// (Here it is shown ten seconds before, and lives for two minutes: later is not sure to be in
/// time.)
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, v1.37.2 (a cache in a cache)
/// - Upstream test: none
/// - Seen by users: openshift/cluster-kube-apiserver-operator#1129, P11
/// - Class: slow
#[rstest]
#[tokio::test]
async fn a_revoked_token_lives_on(#[future] lab: SharedLab, #[context] context: Context) {
    slow!(context);
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(revoked());
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);
    let let_in = lab.scripted().calls(&token)[0].at;

    until_passed(let_in, ALMOST).await;
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(0);
    let refused = until_answered(&lab, &token, 401).await;

    let lived = refused.duration_since(let_in);
    assert!(lived >= ALMOST + OVERALL, "{lived:?}");
    assert_eq!(lab.scripted().calls(&token).len(), 2);
}

/// Who was refused stays out for 2 minutes, although the webhook knows them by now.
///
/// - Source: `kubernetes/pkg/kubeapiserver/options/authentication.go`, v1.37.2 (`WithWebHook`)
/// - Upstream test: none
/// - Seen by users: kubernetes/kubernetes#50258, P11
/// - Class: slow
#[rstest]
#[tokio::test]
async fn a_new_user_stays_out(#[future] lab: SharedLab, #[context] context: Context) {
    slow!(context);
    let lab = bare_only!(lab, context);
    let token = lab
        .scripted()
        .token(Act::from(Decision::Refused).then(ann()));
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
    let refused = lab.scripted().calls(&token)[0].at;

    let let_in = until_answered(&lab, &token, 403).await;

    let waited = let_in.duration_since(refused);
    assert!(waited >= WEBHOOKS, "{waited:?}");
    assert_eq!(lab.scripted().calls(&token).len(), 2);
}

/// Longer than the longest of them, on a busy machine.
const POLL: Poll = Poll {
    every: Duration::from_millis(100),
    within: Duration::from_secs(200),
};

/// Waits until so much time is over since then.
async fn until_passed(since: Instant, time: Duration) {
    let passed = until("the time is over", POLL, async || {
        let passed = since.elapsed();
        if passed >= time {
            Probe::Ready(())
        } else {
            Probe::<_, Infallible>::NotYet(format!("{passed:?}").into())
        }
    });
    passed.await.expect("must pass");
}

/// When somebody who shows the token gets this status.
async fn until_answered(lab: &SharedLab, token: &Token, status: u16) -> Instant {
    let answered = until("the answer changes", POLL, async || {
        let seen = Asked::new(lab, lab.scripted(), token).await;
        if seen.status == status {
            Probe::Ready(Instant::now())
        } else {
            Probe::<_, Infallible>::NotYet(seen.message.into())
        }
    });
    answered.await.expect("must change")
}
