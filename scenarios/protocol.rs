//! What goes over the wire between the apiserver and its webhook.

use rstest::{Context, rstest};
use tokenlab_harness::{Posted, SharedConfig, SharedLab};
use tokenlab_webhook::ApiVersion;

use crate::lab::evidence::Asked;
use crate::support::{assert_reviewed, bare_only, config, lab, mock};

/// A TokenReview posted to the webhook by hand, the tutorial's second step, is answered in the
/// version that it came in: the apiserver takes no other.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: none
/// - Seen by users: kubernetes/website#24349, P8
#[rstest]
#[case::v1("authentication.k8s.io/v1")]
#[case::v1beta1("authentication.k8s.io/v1beta1")]
#[tokio::test]
async fn the_webhook_answers_in_the_version_of_the_question(
    #[future] lab: SharedLab,
    #[context] context: Context,
    #[case] version: &str,
) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(mock().await);
    let review = serde_json::json!({
        "apiVersion": version,
        "kind": "TokenReview",
        "spec": { "token": token.expose() },
    });

    let answer = lab.webhook().post(review.to_string()).await;

    let answer = answer.expect("must answer");
    assert_reviewed!(context, format!("{}\n{}", answer.status, answer.body));
}

/// A review is a POST to the file's path, with the time that the apiserver will wait in its query; in
/// the body are the token and the audiences, and nothing else of the user's request.
///
/// - Source: `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, `Create`;
///   `client-go/rest/request.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn the_apiserver_posts_a_review(#[future] lab: SharedLab, #[context] context: Context) {
    let lab = bare_only!(lab, context);
    let token = lab.scripted().token(mock().await);

    let seen = Asked::new(&lab, lab.scripted(), &token).await;

    let seen = seen.forbidden("mock").asked(1);
    let posted = seen.calls[0].posted.as_ref().expect("must be posted");
    assert_reviewed!(context, as_it_came(posted));
}

/// The apiserver speaks v1beta1 unless it is told otherwise, although it no longer serves it.
///
/// - Source: `kubernetes/pkg/kubeapiserver/options/authentication.go`, v1.37.2 (`WithWebHook`)
/// - Upstream test: `TestV1WebhookTokenAuthenticator`, `TestV1beta1WebhookTokenAuthenticator`
///   (unit; the default is in no test)
/// - Seen by users: rancher/kube-api-auth#124, P8
#[rstest]
#[case::by_default(None, ApiVersion::V1Beta1)]
#[case::told_v1beta1(Some(ApiVersion::V1Beta1), ApiVersion::V1Beta1)]
#[case::told_v1(Some(ApiVersion::V1), ApiVersion::V1)]
#[tokio::test]
async fn the_apiserver_speaks(
    #[context] context: Context,
    #[case] webhook_version: Option<ApiVersion>,
    #[case] spoken: ApiVersion,
) {
    let config = SharedConfig {
        webhook_version,
        ..config()
    };
    let lab = bare_only!(SharedLab::get(config), context);
    let token = lab.scripted().token(mock().await);

    let kubectl = lab.kubectl_as(&token).expect("must be made");
    let output = kubectl.run(["get", "ns"]).await.expect("must run");

    assert!(
        output.stderr.contains(r#"User "mock" cannot list"#),
        "{output}"
    );
    let versions: Vec<ApiVersion> = (lab.scripted().calls(&token).iter())
        .map(|call| call.api_version)
        .collect();
    assert_eq!(versions, [spoken]);
}

/// A request as one reads it, with its headers in the order of their names.
fn as_it_came(posted: &Posted) -> String {
    let mut headers: Vec<_> = (posted.headers.iter())
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().expect("must be text")))
        .collect();
    headers.sort();
    let Posted {
        path,
        version,
        body,
        ..
    } = posted;
    format!("POST {path} {version:?}\n{}\n{body:#}", headers.concat())
}
