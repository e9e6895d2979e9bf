//! Tokens of service accounts: those that kube-apiserver does not know go to the webhook.

use std::convert::Infallible;

use rstest::{Context, rstest};
use serde_json::Value;
use tokenlab_harness::{Probe, SharedLab, until};
use tokenlab_webhook::Token;

use crate::lab::account::Account;
use crate::lab::authenticators::mallory;
use crate::lab::evidence::Asked;
use crate::lab::jwt::{SigningKey, an_hour_ago, claims};
use crate::support::{SOON, bare_only, lab};

/// A service account's token is not the webhook's to contradict.
///
/// - Source: `kubernetes/pkg/serviceaccount/jwt.go`, v1.37.2
/// - Upstream test: `TestAuthenticateTokenFirstPasses` (unit, the union alone)
#[rstest]
#[tokio::test]
async fn a_service_accounts_token_does_not_reach_the_webhook(
    #[context] context: Context,
    #[future] lab: SharedLab,
) {
    let lab = bare_only!(lab, context);
    let account = Account::create(&lab).await;
    lab.scripted().script(&account.token, mallory());

    let seen = whoami(&lab, &account.token).await;

    let _ = seen.known_as(&account.name()).asked(0);
}

/// A service account's token that is not valid any more, or never was, reaches the webhook,
/// although kube-apiserver's own key signed it: a webhook that knows everybody lets it in.
///
/// - Source: `kubernetes/pkg/serviceaccount/jwt.go`, `AuthenticateToken`, v1.37.2;
///   `apiserver/pkg/authentication/token/union/union.go`, v0.37.2
/// - Upstream test: `TestServiceAccountTokenCreate` (integration; no webhook)
/// - Seen by users: kubernetes/kubernetes#65874
#[rstest]
#[case::expired(|claims: &mut Value| claims["exp"] = an_hour_ago().into())]
#[case::for_others(|claims: &mut Value| claims["aud"] = "somebody-else".into())]
#[case::of_another_account(|claims: &mut Value| {
    claims["kubernetes.io"]["serviceaccount"]["uid"] = "another".into();
})]
#[tokio::test]
async fn a_service_accounts_token_that_is_not_valid_reaches_the_webhook(
    #[context] context: Context,
    #[future] lab: SharedLab,
    #[case] change: fn(&mut Value),
) {
    let lab = bare_only!(lab, context);
    let account = Account::create(&lab).await;
    let mut claims = claims(&account.token);
    let key = std::fs::read_to_string(lab.folder().file("sa.key"));
    let key = SigningKey::from_pem(&key.expect("must be there"));
    // The key is the right one: nothing else is wrong with what it signs.
    let valid = whoami(&lab, &key.sign(&claims)).await;
    let _ = valid.known_as(&account.name()).asked(0);

    change(&mut claims);
    let token = key.sign(&claims);
    lab.scripted().script(&token, mallory());
    let seen = whoami(&lab, &token).await;

    let _ = seen.known_as("mallory").asked(1);
}

/// The token of a service account that was deleted reaches the webhook.
///
/// - Source: `kubernetes/pkg/serviceaccount/claims.go`, `Validate`, v1.37.2
/// - Upstream test: `TestValidatePrivateClaims` (unit; the claims alone)
#[rstest]
#[tokio::test]
async fn the_token_of_a_deleted_account_reaches_the_webhook(
    #[context] context: Context,
    #[future] lab: SharedLab,
) {
    let lab = bare_only!(lab, context);
    let account = Account::create(&lab).await;
    account.delete().await;

    // The authenticator hears of it through a watch.
    let refused = until("the account is unknown", SOON, async || {
        match whoami(&lab, &account.token).await {
            seen if seen.user.is_none() => Probe::<_, Infallible>::Ready(seen),
            seen => Probe::NotYet(seen.to_string().into()),
        }
    });
    let seen = refused.await.expect("must become so");
    let _ = seen.unauthorized().asked(1);
}

async fn whoami(lab: &SharedLab, token: &Token) -> Asked {
    Asked::whoami(lab, lab.scripted(), token).await
}
