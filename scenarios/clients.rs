//! How clients show their token: where kube-apiserver looks for one, and what it takes for none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use futures::future::join_all;
use http::Request;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use rstest::{Context, rstest};
use serde_json::Value;
use tokenlab_harness::{SharedLab, client};
use tokenlab_webhook::{Decision, Token, User};

use crate::lab::evidence::Asked;
use crate::lab::identities::{Header, nobody, whoami};
use crate::lab::web_socket::open;
use crate::support::{assert_reviewed, bare_only, lab};

const WATCH: &str = "/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3Ddefault";

/// A token of somebody who may do everything.
fn token_of_ann(lab: &SharedLab) -> Token {
    let ann = User::new("ann").with_group("system:masters");
    lab.scripted().token(Decision::authenticated(ann))
}

/// A token as a WebSocket's subprotocol.
fn subprotocol(token: &str) -> String {
    let token = URL_SAFE_NO_PAD.encode(token);
    format!("base64url.bearer.authorization.k8s.io.{token}")
}

/// A browser cannot set a WebSocket's headers, but its subprotocols: one of them is the token,
/// which is answered with the other.
///
/// - Source: `apiserver/pkg/authentication/request/websocket/protocol.go`, v0.37.2
/// - Upstream test: `TestBearerToken` (unit, one layer)
#[rstest]
#[tokio::test]
async fn a_watch_over_web_socket_shows_its_token_as_a_subprotocol(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let token = token_of_ann(&lab);
    let offered = format!("{}, base64.binary.k8s.io", subprotocol(token.expose()));

    let (mut watch, answer) = open(&nobody(&lab), WATCH, &offered)
        .await
        .expect("must open");

    let spoken = answer.headers().get(SEC_WEBSOCKET_PROTOCOL);
    assert_eq!(spoken.expect("must be told"), "base64.binary.k8s.io");
    let event = watch
        .next()
        .await
        .expect("must come")
        .expect("must be whole");
    let event: Value = serde_json::from_slice(&event.into_data()).expect("must be JSON");
    assert_eq!(event["type"], "ADDED");
    assert_eq!(event["object"]["metadata"]["name"], "default");
    assert_eq!(lab.scripted().calls(&token).len(), 1);
}

/// A subprotocol that shows no token as it should is refused, and the webhook is not asked.
///
/// - Source: `apiserver/pkg/authentication/request/websocket/protocol.go`, v0.37.2
/// - Upstream test: `TestBearerToken` (unit, one layer)
#[rstest]
#[case::alone(|token: &str| subprotocol(token))]
#[case::twice(|token: &str| format!("{0}, {0}, base64.binary.k8s.io", subprotocol(token)))]
#[case::padded(|token: &str| format!("{}==, base64.binary.k8s.io", subprotocol(token)))]
#[case::not_encoded(|token: &str| {
    format!("base64url.bearer.authorization.k8s.io.{token}!, base64.binary.k8s.io")
})]
#[tokio::test]
async fn a_subprotocol_must_show_its_token_well(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] offered: fn(&str) -> String,
) {
    let lab = bare_only!(lab, context);
    let token = token_of_ann(&lab);

    let opened = open(&nobody(&lab), WATCH, &offered(token.expose())).await;

    assert_eq!(opened.err(), Some(401));
    assert_eq!(lab.scripted().calls(&token).len(), 0);
}

/// The scheme may be written in any case, blanks around it and words behind the token do not
/// matter, and the first header counts.
///
/// - Source: `apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2
/// - Upstream test: `TestAuthenticateRequestIncludingValueAfterToken`, `TestBearerToken` (unit, one
///   layer)
#[rstest]
#[case::as_it_should_be(&["Bearer {token}"])]
#[case::lower_case(&["bearer {token}"])]
#[case::upper_case(&["BEARER {token}"])]
#[case::blanks_around(&["  Bearer {token}  "])]
#[case::words_behind(&["Bearer {token} and more"])]
#[case::the_first_of_two(&["Bearer {token}", "Bearer another"])]
#[tokio::test]
async fn this_shows_a_token(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] headers: &[&str],
) {
    let lab = bare_only!(lab, context);
    let token = token_of_ann(&lab);

    let seen = whoami(&lab, &nobody(&lab), &shown(headers, &token), &token).await;

    let _ = seen.known_as("ann").asked(1);
}

/// This is no token, and who shows it is anonymous: forbidden (403), not unauthorized.
///
/// - Source: `apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2
/// - Upstream test: `TestAuthenticateRequestBadValue`, `TestBearerToken` (unit, one layer)
#[rstest]
#[case::two_blanks(&["Bearer  {token}"])]
#[case::a_tab(&["Bearer\t{token}"])]
#[case::no_blank(&["Bearer{token}"])]
#[case::no_token(&["Bearer "])]
#[case::nothing(&[""])]
#[case::another_scheme(&["Token {token}"])]
#[case::a_password(&["Basic YW5uOnBhc3N3b3Jk"])]
#[case::the_second_of_two(&["Basic YW5uOnBhc3N3b3Jk", "Bearer {token}"])]
#[tokio::test]
async fn this_shows_no_token(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] headers: &[&str],
) {
    let lab = bare_only!(lab, context);
    let token = token_of_ann(&lab);

    let seen = whoami(&lab, &nobody(&lab), &shown(headers, &token), &token).await;

    let _ = seen.forbidden("system:anonymous").asked(0);
}

/// Of two blanks before the token the user is warned; who that is stays anonymous.
///
/// - Source: `apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2
/// - Upstream test: `TestBearerToken` (unit, one layer)
#[rstest]
#[tokio::test]
async fn of_two_blanks_before_the_token_one_is_warned(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let request = Request::get("/api/v1/namespaces").header("authorization", "Bearer  any");
    let request = request.body(Vec::new().into()).expect("must be a request");

    let client = client(&nobody(&lab)).await.expect("must be made");
    let answer = client.send(request).await.expect("must be answered");

    let warning = &answer.headers()["warning"];
    assert_reviewed!(context, warning.to_str().expect("must be text"));
}

/// Two hundred users at once: each is who the webhook says, and it is asked about each once.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
/// - Upstream test: `TestCachedTokenAuthenticator` (unit, one layer)
#[rstest]
#[tokio::test]
async fn two_hundred_users_at_once_are_each_themselves(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let users = (0..200).map(|number| {
        let name = format!("user-{number}");
        let user = Decision::authenticated(User::new(&name));
        (name, lab.scripted().token(user))
    });
    let users: Vec<_> = users.collect();

    let asked = users.iter().map(async |(name, token)| {
        let seen = Asked::whoami(&lab, lab.scripted(), token).await;
        let _ = seen.known_as(name).asked(1);
    });
    join_all(asked).await;
}

/// The headers with the token in its place.
fn shown(headers: &[&str], token: &Token) -> Vec<Header> {
    let values = headers
        .iter()
        .map(|value| value.replace("{token}", token.expose()));
    values.map(|value| (AUTHORIZATION, value)).collect()
}
