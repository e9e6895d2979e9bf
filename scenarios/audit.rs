//! What the audit log says of the webhook's users.

use std::convert::Infallible;

use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::{Lab, LabError, Probe, Scripted, until};
use tokenlab_webhook::{Decision, User};

use crate::lab::evidence::Asked;
use crate::support::{SOON, assert_reviewed, bare_only, config};

/// The audit log has all that the webhook said of a user, extra too: so no secret belongs there. Of
/// who was refused it has the 401 alone, not even that a token was shown: what the filter notes of
/// that, the answer's own status replaces. Tokens are nowhere in it.
///
/// - Source: `apiserver/pkg/endpoints/filters/authn_audit.go`, v0.37.2 (`getAuthMethods`)
/// - Source: `apiserver/pkg/audit/context.go`, v0.37.2 (`LogResponseObject`)
/// - Upstream test: `TestFailedAuthnAudit` (unit; one filter, which notes what was shown)
#[rstest]
#[tokio::test]
async fn the_audit_log_has_users_and_no_tokens(#[context] context: Context) {
    let builder = bare_only!(async { Lab::builder() }, context);
    let scripted = Scripted::new();
    let ann = User::new("ann")
        .with_uid("42")
        .with_group("dev")
        .with_extra("example.org/team", ["red", "blue"]);
    let tokens = [
        scripted.token(Decision::authenticated(ann)),
        scripted.token(Decision::Refused),
    ];

    let builder = builder.kubernetes(config().kubernetes).audit(true);
    let logged = builder.webhook(scripted.clone()).run(async |lab| {
        for token in &tokens {
            let _ = Asked::new(lab, &scripted, token).await;
        }
        Ok::<_, LabError>(until_logged(lab, tokens.len()).await)
    });
    let log = logged.await.expect("must start");

    let told: Vec<Value> = events(&log).iter().map(told).collect();
    let text = serde_json::to_string_pretty(&told).expect("must serialise");
    assert_reviewed!(context, text);
    for token in &tokens {
        assert!(!log.contains(token.expose()), "a token is in the audit log");
    }
}

/// All that is logged, when so many of those who listed namespaces are.
async fn until_logged(lab: &Lab, number: usize) -> String {
    let log = lab.control_plane().logs().join("audit.log");
    let logged = until("the requests are logged", SOON, async || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        match events(&log).len() {
            some if some < number => {
                Probe::<_, Infallible>::NotYet(format!("{some} of {number}").into())
            }
            _ => Probe::Ready(log),
        }
    });
    logged.await.expect("must be logged")
}

/// The events of those who listed namespaces.
fn events(log: &str) -> Vec<Value> {
    let events = log
        .lines()
        .map_while(|line| serde_json::from_str(line).ok());
    let listed = |event: &Value| event["requestURI"] == "/api/v1/namespaces?limit=1";
    events.filter(listed).collect()
}

/// What an event tells of its user.
fn told(event: &Value) -> Value {
    json!({
        "user": event["user"],
        "code": event["responseStatus"]["code"],
        "message": event["responseStatus"]["message"],
        "annotations": event["annotations"],
    })
}
