//! A webhook that fails: what the user gets, how often it is asked, how long that takes.

use http::StatusCode;
use rstest::rstest;
use tokenlab_harness::{Act, Break, ConnectionFault, RawAnswer, SharedLab};
use tokenlab_webhook::{Decision, User};

use crate::evidence::Asked;
use crate::serial::serial;
use crate::support::{bare_only, lab};

/// What may pass is tried again within the same request.
#[rstest]
#[tokio::test]
async fn a_second_answer_counts(#[future] lab: SharedLab) {
    let lab = bare_only!(lab, "failures::a_second_answer_counts");
    let fails = RawAnswer::new(StatusCode::INTERNAL_SERVER_ERROR, "out of order");
    let ann = Decision::authenticated(User::new("ann"));
    let token = lab.scripted().token(Act::answer(fails).times(2).then(ann));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(3);
}

/// A connection that is reset under a request is tried again, one that is closed is not.
#[rstest]
#[case::reset(Break::Reset, 5)]
#[case::closed(Break::Close, 1)]
#[tokio::test]
async fn a_broken_connection(#[case] how: Break, #[case] times: usize) {
    let lab = serial().await;
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
