//! A webhook that fails: what the user gets, how often it is asked, how long that takes.

use http::StatusCode;
use rstest::{Context, rstest};
use tokenlab_harness::{Act, Break, ConnectionFault, RawAnswer, SharedLab};
use tokenlab_webhook::{Decision, User};

use crate::evidence::Asked;
use crate::serial::serial;
use crate::support::{bare_only, lab};

/// What may pass is tried again within the same request, and what is answered then counts.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_second_answer_counts(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let fails = RawAnswer::new(StatusCode::INTERNAL_SERVER_ERROR, "out of order");
    let ann = Decision::authenticated(User::new("ann"));
    let token = lab.scripted().token(Act::answer(fails).times(2).then(ann));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(3);
}

/// A connection that is reset under a request is tried again, one that is closed is not.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::reset(Break::Reset, 5)]
#[case::closed(Break::Close, 1)]
#[tokio::test]
async fn a_broken_connection(
    #[context] context: Context,
    #[case] how: Break,
    #[case] times: usize,
) {
    let lab = bare_only!(serial(), context);
    let fault = ConnectionFault::AtRequest(how);
    let webhook = lab.webhook();
    webhook
        .break_connections(Some(fault))
        .await
        .expect("breaks");
    let before = webhook.broken().expect("is ours").len();
    let token = lab.scripted().token(Decision::Refused);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.unauthorized().asked(0);
    assert_eq!(
        webhook.broken().expect("is ours").len() - before,
        times,
        "{seen}"
    );
}
