//! The webhook beside a structured `AuthenticationConfiguration`, whose issuer is our own.

use std::convert::Infallible;

use rstest::{Context, rstest};
use serde_json::Value;
use tokenlab_harness::{LogMark, Probe, Unauthenticated, until};
use tokenlab_webhook::{Decision, User};

use crate::chained::{Chained, chained, mallory};
use crate::jwt::{SigningKey, an_hour_ago};
use crate::support::bare_only;
use crate::whoami::SOON;

/// Who the issuer says one is, the webhook is not asked about.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `Config.New`, v1.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_token_of_the_issuer_does_not_reach_the_webhook(
    #[context] context: Context,
    #[future] chained: Chained,
) {
    let chained = bare_only!(chained, context);
    let issuer = &chained.world.issuer;
    let token = issuer.sign(&issuer.claims("ann"));
    chained.lab.scripted().script(&token, mallory());

    assert_eq!(chained.whoami(&token).await.as_deref(), Ok("oidc:ann"));
    assert_eq!(chained.asked(&token), 0);
}

/// What the issuer's authenticator refuses goes on to the webhook, whole: whoever runs the webhook sees
/// it, and what it says counts, the expiry notwithstanding.
///
/// - Source: `apiserver/pkg/authentication/token/union/union.go`, v0.37.2
/// - Upstream test: none
/// - Seen by users: kubernetes/kubernetes#65874
#[rstest]
#[case::expired(|claims: &mut Value| claims["exp"] = an_hour_ago().into())]
#[case::for_others(|claims: &mut Value| claims["aud"] = "somebody-else".into())]
#[case::by_another_issuer(|claims: &mut Value| claims["iss"] = "https://issuer.example.org".into())]
#[case::without_a_name(|claims: &mut Value| _ = claims.as_object_mut().map(|claims| claims.remove("sub")))]
#[tokio::test]
async fn a_token_that_the_issuer_would_not_give_reaches_the_webhook(
    #[context] context: Context,
    #[future] chained: Chained,
    #[case] change: fn(&mut Value),
) {
    let chained = bare_only!(chained, context);
    let issuer = &chained.world.issuer;
    let mut claims = issuer.claims("bob");
    change(&mut claims);
    let token = issuer.sign(&claims);
    let bob = Decision::authenticated(User::new("bob-of-the-webhook"));
    chained.lab.scripted().script(&token, bob);

    let name = chained.whoami(&token).await;
    assert_eq!(name.as_deref(), Ok("bob-of-the-webhook"));
    assert_eq!(chained.asked(&token), 1);
}

/// So does one that somebody else signed.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/oidc/oidc.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_forged_token_reaches_the_webhook(
    #[context] context: Context,
    #[future] chained: Chained,
) {
    let chained = bare_only!(chained, context);
    let token = SigningKey::draw().sign(&chained.world.issuer.claims("eve"));

    assert_eq!(chained.whoami(&token).await, Err(401));
    assert_eq!(chained.asked(&token), 1);
}

/// While an issuer is away its tokens go to the webhook, and what that does not know is refused for both
/// reasons.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/oidc/oidc.go`, `AuthenticateToken`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_token_of_an_issuer_that_is_away_reaches_the_webhook(
    #[future] chained: Chained,
    #[context] context: Context,
) {
    let chained = bare_only!(chained, context);
    let away = &chained.world.away;
    let known = away.sign(&away.claims("ann"));
    let ann = Decision::authenticated(User::new("ann-of-the-webhook"));
    chained.lab.scripted().script(&known, ann);
    let unknown = away.sign(&away.claims("bob"));
    let log = chained
        .lab
        .control_plane()
        .logs()
        .join("kube-apiserver.log");
    let log = LogMark::end_of(&log).expect("must be there");

    let name = chained.whoami(&known).await;
    assert_eq!(name.as_deref(), Ok("ann-of-the-webhook"));
    assert_eq!(chained.whoami(&unknown).await, Err(401));
    assert_eq!(chained.asked(&unknown), 1);
    let both = "[invalid bearer token, oidc: authenticator not initialized]";
    let told = until("the log tells why", SOON, async || {
        let log = log.since().expect("must be read");
        let told = Unauthenticated::in_log(&log);
        match told.iter().any(|told| told.error == both) {
            true => Probe::<(), Infallible>::Ready(()),
            false => Probe::NotYet(log.into()),
        }
    });
    told.await.expect("must be told");
}
