//! A webhook that is away: who goes on, who does not, and what happens when it is back.

use std::time::Duration;

use http::{Request, StatusCode};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use rstest::{Context, rstest};
use tokenlab_harness::{Act, Identity, Poll, Probe, RawAnswer, SharedLab, until};
use tokenlab_webhook::Decision;

use crate::lab::account::Account;
use crate::lab::attempts::assert_logged;
use crate::lab::evidence::{Asked, called};
use crate::lab::identities::ann;
use crate::lab::planes::short_lived;
use crate::lab::serial::{Serial, serial};
use crate::support::{bare_only, lab};

fn away() -> Act {
    RawAnswer::new(StatusCode::SERVICE_UNAVAILABLE, "away").into()
}

async fn down(lab: &Serial) {
    lab.webhook().down().await.expect("must end");
}

async fn up(lab: &Serial) {
    lab.webhook().up().await.expect("must listen");
}

/// What the apiserver remembers outlives the webhook: who was let in goes on, who was refused is
/// still.
///
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, v0.37.2
/// - Upstream test: `TestV1WebhookCacheAndRetry` (unit, one layer of two)
#[rstest]
#[case::a_known_token(ann())]
#[case::a_refused_token(Decision::Refused)]
#[tokio::test]
async fn what_is_remembered_outlives_the_webhook(
    #[context] context: Context,
    #[case] decision: Decision,
) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(decision);
    let before = Asked::new(&lab, lab.scripted(), &token).await.asked(1);

    down(&lab).await;
    let seen = Asked::new(&lab, lab.scripted(), &token).await.asked(0);

    assert_eq!(
        (seen.status, &seen.message),
        (before.status, &before.message),
        "{seen}"
    );
}

/// An outage reaches those who were let in when they are not remembered any more: they get 401,
/// although nobody has revoked anything.
///
/// Here that is a second for the webhook's answers, and ten seconds around all authenticators.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, v1.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn an_outage_reaches_everybody_in_the_end(
    #[future] short_lived: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(short_lived, context);
    let token = lab.scripted().token(Act::from(ann()).then(away()));
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .forbidden("ann");

    let poll = Poll {
        every: Duration::from_millis(250),
        within: Duration::from_secs(60),
    };
    let ends = until("ann is nobody", poll, async || {
        let seen = Asked::new(&lab, lab.scripted(), &token).await;
        match seen.status {
            401 => Probe::Ready(seen),
            _ => Probe::<_, std::convert::Infallible>::NotYet(seen.to_string().into()),
        }
    });

    let seen = ends.await.expect("must end").asked(1);
    let let_in = lab.scripted().calls(&token)[0].at;
    assert!(let_in.elapsed() >= Duration::from_secs(10), "{seen}");
}

/// A token that is not remembered gets 401 while the webhook is away, and is recognised as soon as
/// it is back: no restart, no wait.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`,
///   `newWebhookTokenAuthenticator`, v1.37.2
/// - Source: `apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, `cacheErrs`,
///   v0.37.2
/// - Upstream test: none
/// - Seen by users: rancher/rancher#38827, P13
#[rstest]
#[tokio::test]
async fn a_webhook_that_comes_back_is_asked_at_once(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(ann());
    down(&lab).await;
    let _ = Asked::new(&lab, lab.scripted(), &token)
        .await
        .unauthorized();

    up(&lab).await;
    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let _ = seen.forbidden("ann").asked(1);
}

/// A webhook that is started anew between two requests costs nobody a request: the apiserver's
/// connection to it is replaced.
///
/// - Source: `apimachinery/pkg/util/net/http.go`, `SetTransportDefaults`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_restart_of_the_webhook_is_not_noticed(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    let (first, second) = (lab.scripted().token(ann()), lab.scripted().token(ann()));
    let _ = Asked::new(&lab, lab.scripted(), &first)
        .await
        .forbidden("ann");

    down(&lab).await;
    up(&lab).await;
    let seen = Asked::new(&lab, lab.scripted(), &second).await;

    let _ = seen.forbidden("ann").asked(1);
}

/// A webhook that ends while it is asked, and says so (GOAWAY), costs that user the request, and no
/// other.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `DefaultShouldRetry`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_webhook_that_ends_while_it_is_asked(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    let token = lab.scripted().token(Act::hang().then(ann()));
    let asked = Asked::new(&lab, lab.scripted(), &token);
    let ended = async {
        called(lab.scripted(), std::slice::from_ref(&token)).await;
        down(&lab).await;
        up(&lab).await;
    };

    let (seen, ()) = tokio::join!(asked, ended);

    let seen = seen.unauthorized().asked(1);
    assert_logged(&context, &seen);
    let again = Asked::new(&lab, lab.scripted(), &token).await;
    let _ = again.forbidden("ann").asked(1);
}

/// Who is known by something else than the webhook does not notice that it is away, and the
/// apiserver stays ready.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `New`: the webhook is the last
///   one, v1.37.2
/// - Upstream test: none
/// - Seen by users: kubernetes/cloud-provider-openstack#2575, P4
#[rstest]
#[tokio::test]
async fn nobody_else_notices(#[context] context: Context) {
    let lab = bare_only!(serial(), context);
    down(&lab).await;

    let admin = lab.client().await.expect("must be made");
    let namespaces = kube::Api::<Namespace>::all(admin.clone());
    let by_certificate = namespaces.list(&ListParams::default()).await;
    let ready = Request::get("/readyz").body(Vec::new()).expect("is one");
    let ready = admin.request_text(ready).await;
    let account = Account::create(&lab).await;
    let by_service_account = Asked::new(&lab, lab.scripted(), &account.token).await;
    let nobody = lab.control_plane().user("nobody", Identity::Anonymous);
    let nobody = tokenlab_harness::client(&nobody)
        .await
        .expect("must be made");
    let nobody = kube::Api::<Namespace>::all(nobody);
    let anonymous = nobody.list(&ListParams::default()).await;

    by_certificate.expect("the admin may");
    assert_eq!(ready.expect("must be ready"), "ok");
    let _ = by_service_account.forbidden(&account.name()).asked(0);
    let anonymous = anonymous.expect_err("nobody may");
    assert!(
        matches!(&anonymous, kube::Error::Api(status) if status.code == 403),
        "{anonymous:?}"
    );
}

/// A webhook that hangs holds up those alone whose token it has: others are answered meanwhile.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `LoadKubeconfig` (`QPS` is -1), v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_review_that_hangs_holds_up_no_other(
    #[future] lab: SharedLab,
    #[context] context: Context,
) {
    let lab = bare_only!(lab, context);
    let hang = std::iter::repeat_with(|| lab.scripted().token(Act::hang()));
    let hang: Vec<_> = hang.take(20).collect();
    let ann = lab.scripted().token(ann());
    let held = hang
        .iter()
        .map(|token| Asked::new(&lab, lab.scripted(), token));
    let held = futures::future::select_all(held.map(Box::pin));

    tokio::select! {
        biased;
        (first, ..) = held => panic!("must hang: {first}"),
        seen = async {
            called(lab.scripted(), &hang).await;
            Asked::new(&lab, lab.scripted(), &ann).await
        } => drop(seen.forbidden("ann").asked(1)),
    }
}
