//! The claim that everything stands on: the token is recognised, and mock may do nothing.

use rstest::{Context, rstest};

use crate::support::{MockLab, assert_output, if_made, mock_lab};

/// The token is recognised, and mock may do nothing: Forbidden (403) names the user that the
/// webhook named; Unauthorized (401) would name none.
///
/// - Source: `apiserver/pkg/endpoints/handlers/responsewriters/errors.go`, v0.37.2
/// - Upstream test: `TestWebhookTokenAuthenticator` (integration; authenticator in the test's
///   process, plain HTTP, status codes alone)
#[rstest]
#[case::list_namespaces(&["get", "ns"])]
#[case::get_one_namespace(&["get", "ns", "default"])]
#[case::list_secrets_everywhere(&["get", "secrets", "--all-namespaces"])]
#[case::list_pods_in_a_namespace(&["get", "pods", "--namespace", "default"])]
#[case::list_deployments(&["get", "deployments.apps", "--namespace", "kube-system"])]
#[case::create_namespace(&["create", "ns", "mine"])]
#[case::delete_namespace(&["delete", "ns", "default"])]
#[case::read_metrics(&["get", "--raw", "/metrics"])]
#[tokio::test]
async fn mock_is_forbidden(
    #[future] mock_lab: MockLab,
    #[context] context: Context,
    #[case] args: &[&str],
) {
    let mock_lab = if_made!(mock_lab, context);
    let token = mock_lab.token().await;

    let output = mock_lab.kubectl_as(&token).run(args).await;

    assert_output!(context, output.expect("must run"));
    if let Some(calls) = mock_lab.calls(&token) {
        assert_eq!(calls, 1, "asked once, then cached");
    }
}
