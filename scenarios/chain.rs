//! The order in which kube-apiserver asks its authenticators: the webhook comes last.

use std::collections::BTreeMap;
use std::convert::Infallible;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use rstest::{Context, rstest};
use tokenlab_harness::{Identity, Probe, SharedLab, until};
use tokenlab_webhook::Token;
use tokenlab_webhook::pki::CertificateAuthority;

use crate::chained::{Chained, chained, mallory};
use crate::support::{bare_only, lab};
use crate::whoami::{SOON, bearer, whoami};

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

    assert_eq!(chained.whoami(carl).await.as_deref(), Ok("carl"));
    assert_eq!(chained.asked(carl), 0);
}

/// Nor is a bootstrap token.
///
/// - Source: `kubernetes/plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go`, v1.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_bootstrap_token_does_not_reach_the_webhook(
    #[context] context: Context,
    #[future] chained: Chained,
) {
    let chained = bare_only!(chained, context);
    let token = bootstrap_token(&chained.lab).await;
    // What comes too early is the webhook's, and remembered; so it is no script of this token.
    let known = until("the secret is known", SOON, async || {
        match chained.whoami(&token).await {
            Ok(name) => Probe::<_, Infallible>::Ready(name),
            Err(status) => Probe::NotYet(format!("the token is answered with {status}").into()),
        }
    });
    let name = known.await.expect("must become known");
    assert_eq!(name, "system:bootstrap:c0ffee");

    let before = chained.asked(&token);
    chained.lab.scripted().script(&token, mallory());
    assert_eq!(chained.whoami(&token).await.as_deref(), Ok(name.as_str()));
    assert_eq!(chained.asked(&token), before);
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

    let name = whoami(&dora, &[bearer(&token)]).await;

    assert_eq!(name.as_deref(), Ok("dora"));
    assert_eq!(lab.scripted().calls(&token).len(), 0);
}

/// A client certificate that is nobody's is no more than an error on the way to the token. Alone it is
/// one that nobody gets past: not even as anonymous.
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

    assert_eq!(
        whoami(&dora, &[bearer(&token)]).await.as_deref(),
        Ok("mallory")
    );
    assert_eq!(lab.scripted().calls(&token).len(), 1);
    assert_eq!(whoami(&dora, &[]).await, Err(401));
}

/// Who comes through a front proxy is who that says, whatever token is shown beside it.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `Config.New`, v1.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_front_proxy_beats_a_token(#[context] context: Context, #[future] chained: Chained) {
    let chained = bare_only!(chained, context);
    let proxy = chained.world.front_proxy.client("front-proxy", &[]);
    let proxy = Identity::from(&proxy.expect("must be made"));
    let proxy = chained.lab.control_plane().user("front-proxy", proxy);
    let token = chained.lab.scripted().token(mallory());
    let erin = ("x-remote-user", "erin".to_owned());

    let name = whoami(&proxy, &[erin, bearer(&token)]).await;

    assert_eq!(name.as_deref(), Ok("erin"));
    assert_eq!(chained.asked(&token), 0);
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
    let erin = ("x-remote-user", "erin".to_owned());

    let name = whoami(&chained.nobody(), &[erin, bearer(&token)]).await;

    assert_eq!(name.as_deref(), Ok("mallory"));
    assert_eq!(chained.asked(&token), 1);
}

/// Without anonymous access who shows no token is refused, and the webhook is not asked; who shows one is
/// who the webhook says, as ever.
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

    assert_eq!(whoami(&chained.nobody(), &[]).await, Err(401));
    assert_eq!(chained.whoami(&token).await.as_deref(), Ok("mallory"));
    assert_eq!(chained.asked(&token), 1);
}

/// Makes a bootstrap token's secret.
async fn bootstrap_token(lab: &SharedLab) -> Token {
    let (id, secret) = ("c0ffee", "0123456789abcdef");
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
