//! A webhook whose connections fail: which failures are tried again, and what the log says.

use std::time::Duration;

use rstest::{Context, rstest};
use tokenlab_harness::{Break, Cause, ConnectionFault};
use tokenlab_webhook::Decision;

use crate::lab::attempts::assert_logged;
use crate::lab::counters::host;
use crate::lab::evidence::{Asked, PATIENCE};
use crate::lab::identities::ann;
use crate::lab::serial::{Serial, serial};
use crate::support::{bare_only, slow};

use ConnectionFault::{AtHandshake, AtRequest, AtStream};

/// The whole of what a client says to a server that is none.
const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.9\r\n";

/// Makes a request while every connection meets this; what came of it, and how many did.
async fn broken(lab: &Serial, fault: ConnectionFault) -> (Asked, usize) {
    let webhook = lab.webhook();
    let breaks = webhook.break_connections(Some(fault)).await;
    breaks.expect("must listen");
    attempts(lab).await
}

/// Makes a request; what came of it, and how many connections were broken meanwhile.
async fn attempts(lab: &Serial) -> (Asked, usize) {
    let broken = || lab.webhook().broken().expect("is ours").len();
    let before = broken();
    let ann = ann();
    let token = lab.scripted().token(ann);
    let seen = Asked::new(lab, lab.scripted(), &token).await;
    (seen.unauthorized().asked(0), broken() - before)
}

/// A connection that is reset is made anew, five times within a request; one that is closed, or on
/// which something comes that is no HTTP, is not.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2;
///   `apimachinery/pkg/util/net/util.go`, `IsConnectionReset`, v0.37.2
/// - Upstream test: `TestIsConnectionReset` (unit; a ping that nobody answers)
#[rstest]
#[case::reset_under_a_request(AtRequest(Break::Reset), 5)]
#[case::closed_under_a_request(AtRequest(Break::Close), 1)]
#[case::answered_in_another_protocol(AtRequest(Break::Say(GREETING.into())), 1)]
#[case::reset_under_a_stream(AtStream(Break::Reset), 5)]
#[case::closed_under_a_stream(AtStream(Break::Close), 1)]
#[case::answered_on_a_stream_in_another_protocol(AtStream(Break::Say(GREETING.into())), 1)]
#[case::closed_at_the_handshake(AtHandshake(Break::Close), 1)]
#[case::another_protocol_than_tls(AtHandshake(Break::Say(GREETING.into())), 1)]
#[tokio::test]
async fn a_broken_connection(
    #[context] context: Context,
    #[case] fault: ConnectionFault,
    #[case] times: usize,
) {
    let lab = bare_only!(serial(), context);

    let (seen, attempts) = broken(&lab, fault).await;

    assert_eq!(attempts, times, "{seen}");
    assert_logged(&context, &seen);
}

/// Where nothing listens there is one attempt, and 401.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2
/// - Upstream test: none
/// - Seen by users: rancher/rancher#38827, P13
#[rstest]
#[tokio::test]
async fn a_refused_connection(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    lab.webhook().down().await.expect("must end");
    let token = lab.scripted().token(Decision::Refused);

    let seen = Asked::counted(&lab, lab.scripted(), &token).await;

    let seen = seen.unauthorized().asked(0);
    let calls = seen.grown.calls(&host(lab.webhook()));
    assert_eq!(calls, [("<error>", 1)].into(), "{seen}");
    assert_logged(&context, &seen);
}

/// A handshake that does not go on is given up after ten seconds, and not begun anew; one that is
/// reset is, five times in all.
///
/// - Source: `client-go/transport/cache.go` (`TLSHandshakeTimeout` is 10 s), v0.37.2
/// - Upstream test: none
/// - Class: slow
#[rstest]
#[case::without_end(Break::Hang, 1, Duration::from_secs(10))]
#[case::reset(Break::Reset, 5, Duration::from_secs(4))]
#[tokio::test]
async fn a_broken_handshake(
    #[context] context: Context,
    #[case] how: Break,
    #[case] times: usize,
    #[case] least: Duration,
) {
    slow!(context);
    let lab = bare_only!(serial(), context);

    let (seen, attempts) = broken(&lab, AtHandshake(how)).await;

    let seen = seen.took_at_least(least);
    assert_eq!(attempts, times, "{seen}");
    assert_logged(&context, &seen);
}

/// A webhook that is gone without a word costs more than one request its time: what asks by a
/// connection of HTTP/2 on which nobody answers waits for thirty seconds. The ping that follows goes
/// unanswered for another fifteen; then the connection is given up, and who waits meanwhile asks once
/// more by another one.
///
/// - Source: `apimachinery/pkg/util/net/http.go`, `configureHTTP2Transport`, `pingTimeoutSeconds`;
///   `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2
/// - Upstream test: none
/// - Class: slow
#[rstest]
#[tokio::test]
async fn a_connection_whose_ping_nobody_answers(#[context] context: Context) {
    /// `pingTimeoutSeconds`.
    const PING: Duration = Duration::from_secs(15);
    slow!(context);
    let lab = bare_only!(serial(), context);

    let (first, by_one) = broken(&lab, AtStream(Break::Hang)).await;
    let (second, by_another) = attempts(&lab).await;

    for seen in [first, second] {
        let seen = seen.took_at_least(PATIENCE);
        let cause = seen.causes().first().and_then(|found| found.cause);
        assert_eq!(cause, Some(Cause::TimedOut), "{seen}");
    }
    assert_eq!((by_one, by_another), (1, 1));
    // The second one waited for the first connection's ping, too.
    let broken = lab.webhook().broken().expect("is ours");
    let [.., one, another] = broken.as_slice() else {
        panic!("must be two: {broken:?}");
    };
    assert!(another.duration_since(*one) >= PATIENCE + PING / 2);
}
