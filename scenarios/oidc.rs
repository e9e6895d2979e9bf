//! The webhook beside a structured `AuthenticationConfiguration`, whose issuer is our own.

use rstest::{Context, rstest};
use serde_json::Value;
use tokenlab_webhook::{Decision, User};

use crate::lab::authenticators::{Chained, chained, mallory};
use crate::lab::jwt::{SigningKey, an_hour_ago};
use crate::support::bare_only;

/// Who the issuer says one is, the webhook is not asked about.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `Config.New`, v1.37.2
/// - Upstream test: `TestAuthenticateTokenFirstPasses` (unit, the union alone)
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

    let seen = chained.whoami(&token).await;

    let _ = seen.known_as("oidc:ann").asked(0);
}

/// What the issuer's authenticator refuses goes on to the webhook, whole: whoever runs the webhook
/// sees it, and what it says counts, the expiry notwithstanding.
///
/// - Source: `apiserver/pkg/authentication/token/union/union.go`, v0.37.2
/// - Upstream test: `TestAuthenticateTokenSuppressUnnecessaryErrors` (unit, the union alone)
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

    let seen = chained.whoami(&token).await;

    let _ = seen.known_as("bob-of-the-webhook").asked(1);
}

/// A token that names the issuer and is signed by somebody else reaches the webhook, too.
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

    let seen = chained.whoami(&token).await;

    let _ = seen.unauthorized().asked(1);
}

/// While an issuer is away its tokens go to the webhook, and what that does not know is refused for
/// both reasons.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/oidc/oidc.go`, `AuthenticateToken`, v0.37.2
/// - Upstream test: `TestAuthenticateTokenAdditiveErrors` (unit, the union alone)
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

    let seen = chained.whoami(&known).await;
    let _ = seen.known_as("ann-of-the-webhook").asked(1);

    let seen = chained.whoami(&unknown).await.unauthorized().asked(1);
    let both = "[invalid bearer token, oidc: authenticator not initialized]";
    let told = seen.causes().iter().any(|told| told.error == both);
    assert!(told, "{seen}");
}
