//! A webhook that says to look elsewhere: where the apiserver goes, and with what.

use std::net::SocketAddr;

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use rstest::{Context, rstest};
use tokenlab_harness::{Act, Play, RawAnswer, SERVICE_NAME, Scripted, SharedLab};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Decision, PATH, Server, Tls, User, router};

use crate::lab::attempts::assert_logged;
use crate::lab::evidence::Asked;
use crate::lab::identities::ann;
use crate::lab::serial::serial;
use crate::support::{bare_only, lab};

fn redirect(code: u16, to: &str) -> RawAnswer {
    let to = HeaderValue::from_str(to).expect("is one");
    let code = StatusCode::from_u16(code).expect("is one");
    RawAnswer::new(code, "").with_header(LOCATION, to)
}

/// A redirect that keeps the method is followed: the review is posted again, where it says.
///
/// - Source: `net/http/client.go`, `redirectBehavior`, Go 1.26
/// - Upstream test: none
#[rstest]
#[case::temporary(307)]
#[case::permanent(308)]
#[tokio::test]
async fn a_redirect_is_followed(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] code: u16,
) {
    let lab = bare_only!(lab, context);
    let ann = ann();
    let moved = redirect(code, &lab.webhook().url());
    let token = lab.scripted().token(Act::from(moved).then(ann));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(2);
}

/// A redirect that makes a GET of it loses the review, and so does one that leads in circles; the
/// log names what went wrong.
///
/// - Source: `net/http/client.go`, `redirectBehavior` and `defaultCheckRedirect`, Go 1.26
/// - Upstream test: none
#[rstest]
#[case::moved(301, 1)]
#[case::found(302, 1)]
#[case::see_other(303, 1)]
#[case::in_circles(307, 10)]
#[tokio::test]
async fn a_redirect_that_leads_nowhere(
    #[context] context: Context,
    #[case] code: u16,
    #[case] times: usize,
) {
    let lab = bare_only!(serial(), context);
    let moved: Play = redirect(code, &lab.webhook().url()).into();
    let token = lab.scripted().token(moved);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.unauthorized().asked(times);
    assert_logged(&context, &seen);
}

/// A redirect takes the token to another host and port, if only a certificate is shown there which
/// the file trusts.
///
/// - Source: `net/http/client.go`, `Client.do`, Go 1.26
/// - Upstream test: none
#[rstest]
#[case::that_the_file_trusts(true)]
#[case::of_another_authority(false)]
#[tokio::test]
async fn a_redirect_takes_the_token_elsewhere(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] trusted: bool,
) {
    let lab = bare_only!(lab, context);
    let other = CertificateAuthority::new("another").expect("must be made");
    let authority = if trusted {
        lab.webhook().authority().expect("is ours")
    } else {
        &other
    };
    let (elsewhere, bob) = elsewhere(authority).await;
    let token = lab.scripted().token(redirect(307, &elsewhere));
    bob.script(&token, Decision::authenticated(User::new("bob")));

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.asked(1);
    assert_eq!(bob.calls(&token).len(), usize::from(trusted), "{seen}");
    let _ = if trusted {
        seen.forbidden("bob")
    } else {
        seen.unauthorized()
    };
}

/// Another webhook with a certificate of this authority: its URL, and its script. It ends with the
/// test.
async fn elsewhere(authority: &CertificateAuthority) -> (String, Scripted) {
    let scripted = Scripted::new();
    let names = [SERVICE_NAME];
    let certificate = authority.serving(&names).expect("must be made");
    let tls = Tls::from_certificate(&certificate).expect("must be usable");
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(address, Some(tls)).await;
    let server = server.expect("must listen");
    let url = format!("https://localhost:{}{PATH}", server.local_addr().port());
    let router = router(scripted.clone());
    tokio::spawn(server.serve(router, std::future::pending()));
    (url, scripted)
}
