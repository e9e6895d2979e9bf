//! A TokenReview posted to the apiserver, by a server whose callers show it tokens.

use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::{RawAnswer, SharedLab};

use crate::lab::evidence::Asked;
use crate::lab::planes::{AUDIENCES, audiences};
use crate::support::{answer, assert_reviewed, bare_only, reviewed};

/// Whoever asks the apiserver about a token gets what the webhook made of it. Who names no
/// audiences asks for the apiserver's; who names others gets those of them that the webhook found.
/// A refusal has an error here that the webhook did not send.
///
/// - Source: `kubernetes/pkg/registry/authentication/tokenreview/storage.go`, v1.37.2
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::for_the_apiserver(ann(&[]), &[])]
#[case::for_one_of_the_apiservers(ann(&[]), &["lab-two", "elsewhere"])]
#[case::for_others(ann(&["elsewhere", "nowhere"]), &["elsewhere", "anywhere"])]
#[case::refused(answer(&json!({ "authenticated": false })), &[])]
#[case::undecided(answer(&json!({ "error": "the directory is away" })), &[])]
#[tokio::test]
async fn asked_about_a_token(
    #[future] audiences: SharedLab,
    #[context] context: Context,
    #[case] play: RawAnswer,
    #[case] wanted: &[&str],
) {
    let lab = bare_only!(audiences, context);
    let token = lab.scripted().token(play);

    let status = reviewed(&lab, &token, wanted).await;

    assert_reviewed!(context, pretty(&status));
    let calls = lab.scripted().calls(&token);
    let asked: &[&str] = if wanted.is_empty() {
        &AUDIENCES
    } else {
        wanted
    };
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].audiences, asked);
}

/// A server that asks about a token for an audience of its own is told that nobody knows it, unless
/// the webhook names that audience. One that names none speaks for the apiserver's alone: other
/// servers cannot use it.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: `TestV1WebhookTokenAuthenticator` (unit; the authenticator alone)
#[rstest]
#[case::no_audiences(ann(&[]))]
#[case::the_apiservers(ann(&AUDIENCES))]
#[case::others(ann(&["nowhere"]))]
#[tokio::test]
async fn no_good_elsewhere_with(
    #[future] audiences: SharedLab,
    #[context] context: Context,
    #[case] answer: RawAnswer,
) {
    let lab = bare_only!(audiences, context);
    let token = lab.scripted().token(answer);

    let status = reviewed(&lab, &token, &["elsewhere"]).await;

    assert_ne!(status.authenticated, Some(true), "{}", pretty(&status));
    assert_eq!(status.error.as_deref(), Some("invalid bearer token"));
}

/// Each list of audiences has a memory of its own, the same names in another order too; it is one
/// memory for those who ask about a token and those who show it.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
///   (`keyFunc`)
/// - Upstream test: `TestCachedTokenAuthenticatorWithAudiences` (unit; one layer)
#[rstest]
#[tokio::test]
async fn what_is_remembered_is_for_these_audiences(
    #[future] audiences: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(audiences, context);
    let play = ann(&["lab-one", "lab-two", "elsewhere"]);
    let token = lab.scripted().token(play);
    let lists: [&[&str]; 4] = [
        &["lab-one", "lab-two"],
        &["lab-two", "lab-one"],
        &["lab-one"],
        &["elsewhere"],
    ];

    for _ in 0..2 {
        for list in lists {
            let status = reviewed(&lab, &token, list).await;
            assert_eq!(status.authenticated, Some(true), "{}", pretty(&status));
        }
    }

    let calls = lab.scripted().calls(&token);
    let asked: Vec<_> = calls.iter().map(|call| call.audiences.clone()).collect();
    assert_eq!(asked, lists);
    // In the order of `--api-audiences`, the first list.
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann")
        .asked(0);
}

/// Only who has the right to ask is answered: a user of the webhook may not even ask about the
/// token that they hold.
///
/// - Source: `kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`, v1.37.2
///   (`system:auth-delegator`)
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn not_everybody_may_ask(#[future] audiences: SharedLab, #[context] context: Context) {
    let lab = bare_only!(audiences, context);
    let token = lab.scripted().token(ann(&[]));
    let question = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": token.expose() },
    });
    let post = http::Request::post("/apis/authentication.k8s.io/v1/tokenreviews")
        .header("content-type", "application/json")
        .body(question.to_string().into_bytes());

    let seen = Asked::by(&lab, lab.scripted(), &token, post.expect("is one")).await;

    assert_reviewed!(context, seen.forbidden("ann").message);
}

/// The answer that a token is ann's, for these audiences.
fn ann(audiences: &[&str]) -> RawAnswer {
    answer(&json!({
        "authenticated": true,
        "user": { "username": "ann" },
        "audiences": audiences,
    }))
}

fn pretty(status: &TokenReviewStatus) -> String {
    serde_json::to_string_pretty(status).expect("must serialise")
}
