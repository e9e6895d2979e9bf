//! The order in which kube-apiserver asks its authenticators: the webhook comes last.

use std::collections::BTreeMap;
use std::convert::Infallible;

use http::HeaderName;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use rstest::{Context, rstest};
use tokenlab_harness::{Identity, Probe, SharedLab, until};
use tokenlab_webhook::Token;
use tokenlab_webhook::pki::CertificateAuthority;

use crate::lab::authenticators::{Chained, chained, mallory};
use crate::lab::identities::{Header, bearer, nobody, whoami};
use crate::support::{SOON, bare_only, lab};

/// A line of `--token-auth-file` is not the webhook's to contradict.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `Config.New`, v1.37.2
/// - Upstream test: `TestAuthenticateTokenFirstPasses` (unit, the union alone)
#[rstest]
#[tokio::test]
async fn a_token_of_the_token_file_does_not_reach_the_webhook(
    #[context] context: Context,
    #[future] chained: Chained,
) {
    let chained = bare_only!(chained, context);
    let carl = &chained.world.carl;
    chained.lab.scripted().script(carl, mallory());

    let seen = chained.whoami(carl).await;

    let _ = seen.known_as("carl").asked(0);
}

/// A bootstrap token is not the webhook's to contradict.
///
/// - Source: `kubernetes/plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go`, v1.37.2
/// - Upstream test: `TestBootstrapTokenAuth` (integration; no webhook)
#[rstest]
#[tokio::test]
async fn a_bootstrap_token_does_not_reach_the_webhook(
    #[context] context: Context,
    #[future] chained: Chained,
) {
    let chained = bare_only!(chained, context);
    let token = bootstrap_token(&chained.lab, "c0ffee").await;
    chained.lab.scripted().script(&token, mallory());
    // The authenticator hears of secrets through a watch, in order: when it knows a later one, it
    // knows this one.
    let later = bootstrap_token(&chained.lab, "decade").await;
    let known = until("a later secret is known", SOON, async || {
        match chained.whoami(&later).await {
            seen if seen.user.is_some() => Probe::<(), Infallible>::Ready(()),
            seen => Probe::NotYet(seen.to_string().into()),
        }
    });
    known.await.expect("must become known");

    let seen = chained.whoami(&token).await;

    let _ = seen.known_as("system:bootstrap:c0ffee").asked(0);
}

/// Who shows a client certificate is who it says: a token beside it is not even looked at. So an
/// admin's kubeconfig with a token tests the admin.
///
/// - Source: `apiserver/pkg/authentication/request/union/union.go`, v0.37.2
/// - Upstream test: `TestAuthenticateRequestFirstPasses` (unit, the union alone)
/// - Seen by users: kubernetes/kubectl#1657
#[rstest]
#[tokio::test]
async fn a_client_certificate_beats_a_token(#[context] context: Context, #[future] lab: SharedLab) {
    let lab = bare_only!(lab, context);
    let dora = lab.control_plane().certificate_user("dora", &[]);
    let dora = dora.expect("must be made");
    let token = lab.scripted().token(mallory());

    let seen = whoami(&lab, &dora, &[bearer(&token)], &token).await;

    let _ = seen.known_as("dora").asked(0);
}

/// A client certificate that is nobody's is no more than an error on the way to the token. Alone it
/// is one that nobody gets past: not even as anonymous.
///
/// - Source: `apiserver/pkg/authentication/request/x509/x509.go`, v0.37.2
/// - Upstream test: `TestAuthenticateRequestSecondPasses` (unit, the union alone)
#[rstest]
#[tokio::test]
async fn a_token_counts_beside_a_certificate_of_another_authority(
    #[context] context: Context,
    #[future] lab: SharedLab,
) {
    let lab = bare_only!(lab, context);
    let authority = CertificateAuthority::new("another").expect("must be made");
    let dora = authority.client("dora", &[]).expect("must be made");
    let dora = lab.control_plane().user("dora", Identity::from(&dora));
    let token = lab.scripted().token(mallory());

    let both = whoami(&lab, &dora, &[bearer(&token)], &token).await;
    let alone = whoami(&lab, &dora, &[], &token).await;

    let _ = both.known_as("mallory").asked(1);
    let _ = alone.unauthorized().asked(0);
}

/// Who comes through a front proxy is who that says, whatever token is shown beside it.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `Config.New`, v1.37.2
/// - Upstream test: `TestAuthenticateRequestFirstPasses` (unit, the union alone)
#[rstest]
#[tokio::test]
async fn a_front_proxy_beats_a_token(#[context] context: Context, #[future] chained: Chained) {
    let chained = bare_only!(chained, context);
    let proxy = chained.world.front_proxy.client("front-proxy", &[]);
    let proxy = Identity::from(&proxy.expect("must be made"));
    let proxy = chained.lab.control_plane().user("front-proxy", proxy);
    let token = chained.lab.scripted().token(mallory());

    let seen = whoami(&chained.lab, &proxy, &[erin(), bearer(&token)], &token).await;

    let _ = seen.known_as("erin").asked(0);
}

/// What no proxy says counts for nothing: the header is one of many.
///
/// - Source: `apiserver/pkg/authentication/request/headerrequest/requestheader.go`, v0.37.2
/// - Upstream test: `TestRequestHeader` (unit, one layer)
#[rstest]
#[tokio::test]
async fn a_proxys_header_without_its_certificate_is_nothing(
    #[context] context: Context,
    #[future] chained: Chained,
) {
    let chained = bare_only!(chained, context);
    let token = chained.lab.scripted().token(mallory());
    let nobody = nobody(&chained.lab);

    let seen = whoami(&chained.lab, &nobody, &[erin(), bearer(&token)], &token).await;

    let _ = seen.known_as("mallory").asked(1);
}

/// Without anonymous access who shows no token is refused, and the webhook is not asked; who shows
/// one is who the webhook says, as ever.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `Config.New`, v1.37.2
/// - Upstream test: `TestToAuthenticationConfig_Anonymous` (unit, the options alone)
#[rstest]
#[tokio::test]
async fn without_anonymous_access_no_token_is_no_user(
    #[future] chained: Chained,
    #[context] context: Context,
) {
    let chained = bare_only!(chained, context);
    let token = chained.lab.scripted().token(mallory());

    let nobody = nobody(&chained.lab);

    let nothing = whoami(&chained.lab, &nobody, &[], &token).await;
    let something = chained.whoami(&token).await;

    let _ = nothing.unauthorized().asked(0);
    let _ = something.known_as("mallory").asked(1);
}

/// What a front proxy says of a user.
fn erin() -> Header {
    let name = HeaderName::from_static("x-remote-user");
    (name, "erin".to_owned())
}

/// Makes a bootstrap token's secret.
async fn bootstrap_token(lab: &SharedLab, id: &str) -> Token {
    let secret = "0123456789abcdef";
    let secrets = kube::Api::namespaced(lab.client().await.expect("must be made"), "kube-system");
    let data = [
        ("token-id", id),
        ("token-secret", secret),
        ("usage-bootstrap-authentication", "true"),
    ];
    let data = data.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let made = Secret {
        metadata: ObjectMeta {
            name: Some(format!("bootstrap-token-{id}")),
            ..ObjectMeta::default()
        },
        type_: Some("bootstrap.kubernetes.io/token".to_owned()),
        string_data: Some(BTreeMap::from(data)),
        ..Secret::default()
    };
    let made = secrets.create(&PostParams::default(), &made).await;
    made.expect("the admin may");
    Token::from(format!("{id}.{secret}"))
}
