//! How long, how many, how odd: what the apiserver takes from a webhook, and sends to it.

use rstest::{Context, rstest};
use serde_json::json;
use tokenlab_harness::{SharedLab, fresh_token};
use tokenlab_webhook::{Decision, Token, User};

use crate::lab::evidence::Asked;
use crate::lab::identities::ann;
use crate::support::{answer, assert_reviewed, bare_only, lab, reviewed};

/// The apiserver asks for no name: a webhook that tells none has authenticated a user whose name is
/// empty, and who has the rights of `system:authenticated`. (The product does not answer so.)
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::an_empty_name(json!({ "authenticated": true, "user": { "username": "" } }))]
#[case::no_name(json!({ "authenticated": true, "user": { "groups": ["dev"] } }))]
#[case::no_user(json!({ "authenticated": true }))]
#[tokio::test]
async fn a_user_is_let_in_with(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] status: serde_json::Value,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(answer(&status));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("").asked(1);
    let groups = reviewed(&lab, &token, &[]).await.user;
    let groups = groups.and_then(|user| user.groups).expect("has groups");
    assert!(
        groups.contains(&"system:authenticated".to_owned()),
        "{groups:?}"
    );
}

/// A name may have any character. What the user reads has it quoted as Go quotes, and HTML's
/// characters written out, so that a name can neither end a line nor hide what comes after it.
///
/// - Source: `apiserver/pkg/endpoints/handlers/responsewriters/errors.go`, v0.37.2
/// - Upstream test: `TestForbidden` (unit; the text, of `NAME` and paths)
#[rstest]
#[case::a_mail_address("ann@example.org")]
#[case::a_path("https://example.org/users#ann")]
#[case::blanks(" ann b ")]
#[case::letters_of_the_world("Ännchen 安 \u{1f600}")]
#[case::quotation_marks(r#"ann" may "all\"#)]
#[case::two_lines("ann\nbob\r\tend")]
#[case::html("<b>ann</b>&amp;")]
#[case::nul_and_escape("ann\0\u{1b}[2Jbob")]
#[case::right_to_left("ann\u{202e}toor")]
#[tokio::test]
async fn a_name_may_have(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] name: &str,
) {
    let lab = bare_only!(lab, context);
    let token = lab
        .scripted()
        .token(Decision::authenticated(User::new(name)));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    assert_reviewed!(context, seen.message);
    let known = reviewed(&lab, &token, &[]).await.user;
    let known = known.and_then(|user| user.username);
    assert_eq!(known.as_deref(), Some(name), "it is the same name still");
}

/// No name is too long, and no user in too many groups: the apiserver has no limit of its own.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2 (there is none)
/// - Upstream test: none
#[rstest]
#[case::a_name_of_64_kib(User::new("a".repeat(64 << 10)))]
#[case::a_thousand_groups(User::new("ann").with_groups((0..1000).map(|n| format!("group-{n:04}"))))]
#[case::a_megabyte_of_extra(User::new("ann").with_extra("example.org/x", ["x".repeat(1 << 20)]))]
#[tokio::test]
async fn as_large_as(#[future] lab: SharedLab, #[context] context: Context, #[case] user: User) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(Decision::authenticated(user.clone()));

    let known = reviewed(&lab, &token, &[]).await.user;

    let known = known.expect("must be known");
    assert_eq!(known.username.as_ref(), Some(&user.username));
    assert_eq!(known.extra.unwrap_or_default(), user.extra);
    let all = user.with_group("system:authenticated").groups;
    assert_eq!(known.groups, Some(all));
}

/// A token of 64 KiB reaches the webhook whole, and octet by octet what the user showed.
///
/// - Source: `apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_long_token_is_sent_whole(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let token = long_token(64 << 10);
    let ann = ann();
    // By the whole token: had one octet got lost, it would be nobody's.
    lab.scripted().script(&token, ann);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(1);
}

/// A token above a mebibyte reaches nobody: with it the head of the request is larger than the
/// apiserver reads.
///
/// - Source: `apiserver/pkg/server/secure_serving.go`, v0.37.2 (`MaxHeaderBytes`)
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_token_above_a_mebibyte_is_too_long(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let token = long_token((1 << 20) + (64 << 10));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.asked(0);
    assert_eq!(seen.status, 431, "{seen}");
}

fn long_token(octets: usize) -> Token {
    let mut token = fresh_token().expose().to_owned();
    token.extend(std::iter::repeat_n('x', octets - token.len()));
    Token::from(token)
}
