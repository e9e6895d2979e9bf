//! Whom a token is meant for: what the apiserver asks for, and what it makes of the answer.

use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::SharedLab;

use crate::lab::evidence::Asked;
use crate::lab::planes::{AUDIENCES, audiences};
use crate::support::{answer, bare_only, lab};

/// The apiserver asks for its own audiences, by default for the service account issuer.
///
/// - Source: `kubernetes/pkg/kubeapiserver/options/authentication.go`, v1.37.2 (`APIAudiences`)
/// - Upstream test: `TestToAuthenticationConfig` (unit; the options, no request)
#[rstest]
#[tokio::test]
async fn by_default_it_asks_for_the_issuer(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(ann(Value::Null));

    let seen = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);

    assert_eq!(seen.calls[0].audiences, ["https://kubernetes.default.svc"]);
}

/// One audience in common is enough, whatever else is in the answer. An answer without audiences is
/// good for those of the apiserver, so a webhook that knows of none works with any
/// `--api-audiences`.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
///   (`AuthenticateToken`)
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; the authenticator alone)
/// - Seen by users: mulgadc/spinifex#303, P10
#[rstest]
#[case::absent(Value::Null)]
#[case::empty(json!([]))]
#[case::equal(json!(["lab-one", "lab-two"]))]
#[case::a_part(json!(["lab-two"]))]
#[case::one_of_them_and_others(json!(["elsewhere", "lab-one"]))]
#[tokio::test]
async fn a_token_is_good_when_its_audiences_are(
    #[future] audiences: SharedLab,
    #[context] context: Context,
    #[case] named: Value,
) {
    let lab = bare_only!(audiences, context);
    let token = lab.scripted().token(ann(named));

    let seen = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(1);

    assert_eq!(seen.calls[0].audiences, AUDIENCES);
}

/// A token for others is refused, and the refusal is remembered like any other. The audiences are
/// looked at before anything else: what the answer says in `error` is lost, and does not keep the
/// refusal from being remembered.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
///   (`AuthenticateToken`)
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; the authenticator alone, no error, no
///   cache)
/// - Seen by users: mulgadc/spinifex#303, P10
#[rstest]
#[case::known_elsewhere(json!({ "authenticated": true, "user": { "username": "ann" } }))]
#[case::with_an_error(json!({ "authenticated": false, "error": NOBODY_ELSES }))]
#[tokio::test]
async fn a_token_for_others_is_refused(
    #[future] audiences: SharedLab,
    #[context] context: Context,
    #[case] mut status: Value,
) {
    let lab = bare_only!(audiences, context);
    status["audiences"] = json!(["elsewhere"]);
    let token = lab.scripted().token(answer(&status));

    let first = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
    let second = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(0);

    for seen in [first, second] {
        assert!(!seen.log.contains(NOBODY_ELSES), "{seen}");
    }
}

/// Audiences are compared to the letter: neither case nor a slash at the end is overlooked.
///
/// - Source: `apiserver/pkg/authentication/authenticator/audiences.go`, v0.37.2 (`Intersect`)
/// - Upstream test: `TestIntersect` (unit; two lists)
#[rstest]
#[case::in_capitals("LAB-ONE")]
#[case::with_a_slash("lab-one/")]
#[case::with_a_blank(" lab-one")]
#[tokio::test]
async fn almost_is_not_the_same(
    #[future] audiences: SharedLab,
    #[context] context: Context,
    #[case] named: &str,
) {
    let lab = bare_only!(audiences, context);
    let token = lab.scripted().token(ann(json!([named])));

    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized()
        .asked(1);
}

/// An error that no other webhook of this plane tells: the apiserver's log is everybody's.
const NOBODY_ELSES: &str = "the directory of those elsewhere is away";

/// The answer that a token is ann's, for these audiences.
fn ann(audiences: Value) -> tokenlab_harness::RawAnswer {
    let mut status = json!({ "authenticated": true, "user": { "username": "ann" } });
    if !audiences.is_null() {
        status["audiences"] = audiences;
    }
    answer(&status)
}
