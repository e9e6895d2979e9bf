use std::time::{Duration, Instant};

use rstest::rstest;
use tokenlab_webhook::Decision;

use super::directory::Way;
use super::{Bind, ask, directory, load, settings};

/// Nothing is faster than the comparison of the slow user's password, which takes a processor a
/// good part of a second.
#[rstest]
#[case::template(Bind::Template)]
#[case::search(Bind::Search)]
#[tokio::test]
async fn a_refusal_does_not_tell_by_its_time_who_is_there(#[case] bind: Bind) {
    let Some(directory) = directory("time::a_refusal_does_not_tell_by_its_time_who_is_there").await
    else {
        return;
    };
    let way = Way::to(directory.ldaps).await;
    let (ldap, _) = load(settings(
        &directory,
        bind,
        &format!("ldaps://localhost:{}", way.port),
    ));
    let decision = ask(&ldap, "slow", "slow-password").await;
    assert!(
        matches!(decision, Decision::Authenticated { .. }),
        "{decision:?}"
    );
    for name in ["slow", "nobody", "demo-user"] {
        let began = Instant::now();
        assert_eq!(ask(&ldap, name, "wrong").await, Decision::Refused);
        let took = began.elapsed();
        assert!(took > Duration::from_millis(100), "{name}: {took:?}");
    }
}
