//! Many requests at once under one token: they wait for one answer.

use std::time::Duration;

use futures::future::join_all;
use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::{Act, SharedLab};
use tokenlab_webhook::Decision;

use crate::lab::evidence::Asked;
use crate::lab::identities::ann;
use crate::support::{answer, bare_only, lab};

/// Twenty requests at once under one token are one call: those who come while the webhook is asked
/// wait for that answer.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
///   (`singleflight`)
/// - Upstream test: `TestSharedLookup` (unit; one layer)
#[rstest]
#[case::a_success(ann(), 403)]
#[case::a_refusal(Decision::Refused, 401)]
#[tokio::test]
async fn twenty_at_once_are_one_call(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] decision: Decision,
    #[case] status: u16,
) {
    let lab = bare_only!(lab, context);
    let slowly = Act::from(decision).after(Duration::from_secs(1));
    let token = lab.scripted().token(slowly);

    let all = join_all((0..20).map(|_| Asked::new(&lab, lab.scripted(), &token))).await;

    assert!(all.iter().all(|seen| seen.status == status), "{}", all[0]);
    assert_eq!(lab.scripted().calls(&token).len(), 1);
}

/// An error is not remembered, but shared by those who wait for it: twenty requests at once cost the
/// webhook that fails far fewer than twenty calls.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
///   (`singleflight`)
/// - Upstream test: `TestSharedLookup` (unit; one layer, a success)
#[rstest]
#[tokio::test]
async fn those_who_wait_share_an_error(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let error = answer(&json!({ "error": "the directory is away" }));
    let slowly = Act::answer(error).after(Duration::from_secs(2));
    let token = lab.scripted().token(slowly);

    let all = join_all((0..20).map(|_| Asked::new(&lab, lab.scripted(), &token))).await;

    assert!(all.iter().all(|seen| seen.status == 401), "{}", all[0]);
    let calls = lab.scripted().calls(&token).len();
    assert!(calls < 10, "{calls} calls");
}
