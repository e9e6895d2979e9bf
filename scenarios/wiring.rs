//! What kube-apiserver does with the webhook's file once it has it: who it is to the webhook, and
//! how it gets there.

use std::os::unix::fs::PermissionsExt as _;

use futures::future::{join, join_all};
use http::Version;
use http::header::AUTHORIZATION;
use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::{
    CONFIG_FILE, CONFIG_FILE_FLAG, Cause, LabPlan, Posted, RunFolder, SERVICE_NAME, Scripted,
    Shown, fresh_token,
};
use tokenlab_webhook::{PATH, Tls};

use crate::lab::attempts::errors;
use crate::lab::evidence::{Asked, called};
use crate::lab::identities::ann;
use crate::lab::old_proxy::OldProxy;
use crate::lab::webhook_file::{WebhookFile, planned, write};
use crate::support::bare_only;

/// Without a user, or with one that the file does not have, kube-apiserver starts, and is nobody to
/// the webhook. One that wants no credentials answers it.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `LoadKubeconfig`, v0.37.2
/// - Upstream test: `TestKubeConfigFile` (unit, one layer: it starts)
#[rstest]
#[case::context_without_user(Value::Null)]
#[case::context_with_missing_user("elsewhere".into())]
#[tokio::test]
async fn whom_the_file_does_not_name_is_nobody_to_the_webhook(
    #[context] context: Context,
    #[case] user: Value,
) {
    let scripted = Scripted::new();
    let plan = bare_only!(planned(scripted.clone()), context);
    let file = WebhookFile::of(&plan).context("user", user);

    let posted = posted(plan, &file, &scripted).await;

    assert_eq!(posted.headers.get(AUTHORIZATION), None);
}

/// The webhook is shown a client certificate if it asks for one, and a token besides, from wherever
/// a kubeconfig may have them: the file itself, other files, whose paths begin where it is, or a
/// plugin. A timeout nobody reads.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `LoadKubeconfig`;
///   `client-go/tools/clientcmd/loader.go`, `ResolveLocalPaths`;
///   `client-go/plugin/pkg/client/auth/exec/exec.go`, `UpdateTransportConfig`, v0.37.2
/// - Upstream test: `TestKubeConfigFile` (unit, one layer: it starts with a certificate)
/// - Seen by users: kubernetes/kubernetes#60914, P15, P17
#[rstest]
#[case::of_the_file(|file: WebhookFile, secret: &str, _: &RunFolder| file.user("token", secret))]
#[case::of_other_files(|file: WebhookFile, secret: &str, folder: &RunFolder| {
    folder.write("token", secret).expect("must be written");
    file.by_path(folder).user("tokenFile", "token")
})]
#[case::of_a_plugin(with_plugin)]
#[tokio::test]
async fn a_certificate_and_a_token_are_shown_to_the_webhook(
    #[context] context: Context,
    #[case] change: fn(WebhookFile, &str, &RunFolder) -> WebhookFile,
) {
    let scripted = Scripted::new();
    let plan = bare_only!(planned(scripted.clone()), context);
    let file = WebhookFile::of(&plan).cluster("timeout", "1ms");
    ask_for_a_certificate(&plan, file.client_ca()).await;
    let secret = fresh_token();
    let file = change(file, secret.expose(), plan.folder());

    let posted = posted(plan, &file, &scripted).await;

    let shown = posted.headers.get(AUTHORIZATION).expect("must be shown");
    assert!(shown == &format!("Bearer {}", secret.expose()));
    assert_eq!(format!("{shown:?}"), "Sensitive");
}

/// Of what follows the host in the file's `server` the path alone counts, and is cleaned: no double
/// slash, no dot, no slash at its end. Query and fragment are dropped.
///
/// - Source: `client-go/rest/client.go`, `NewRESTClient`; `client-go/rest/request.go`, `NewRequest`,
///   v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn the_path_of_the_file_is_cleaned(#[context] context: Context) {
    let scripted = Scripted::new();
    let plan = bare_only!(planned(scripted.clone()), context);
    let url = plan.webhook().url();
    let server = url.replace(PATH, "//./authenticate/?tenant=one#two");
    let file = WebhookFile::of(&plan).cluster("server", server);

    let posted = posted(plan, &file, &scripted).await;

    assert_eq!(posted.path, "/authenticate?timeout=30s");
}

/// Without its flag kube-apiserver has no webhook: it asks nobody, and logs no other error than for
/// a token that nobody knows.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`, `Config.New`, v1.37.2
/// - Upstream test: none
/// - Seen by users: mulgadc/spinifex#303, P10
#[rstest]
#[tokio::test]
async fn without_the_flag_nobody_is_asked(#[context] context: Context) {
    let scripted = Scripted::new();
    let mut plan = bare_only!(planned(scripted.clone()), context);
    plan.flags().unset(CONFIG_FILE_FLAG);
    let lab = plan.start().await.expect("must start");
    let token = scripted.token(ann());

    let seen = Asked::new(&lab, &scripted, &token).await;

    let seen = seen.unauthorized().asked(0);
    assert_eq!(errors(&seen), "invalid bearer token");
    let diagnosis = lab.diagnose(&Shown::from(&token)).await;
    assert_eq!(diagnosis.cause, Some(Cause::FlagNotSet), "{diagnosis}");
    lab.stop().await;
}

/// When kube-apiserver starts the file must be there and the webhook need not; later it is the
/// other way round. A webhook that comes up is asked at once.
///
/// - Source: `kubernetes/pkg/kubeapiserver/authenticator/config.go`,
///   `newWebhookTokenAuthenticator`, v1.37.2
/// - Upstream test: none
/// - Seen by users: kubernetes/cloud-provider-openstack#2575, kubernetes/kops#8992, P3, P4
#[rstest]
#[tokio::test]
async fn the_file_is_read_once_and_the_webhook_may_come_later(#[context] context: Context) {
    let scripted = Scripted::new();
    let plan = bare_only!(planned(scripted.clone()), context);
    plan.webhook().down().await.expect("must be ours");
    let lab = plan.start().await.expect("must start");
    let file = lab.folder().file(CONFIG_FILE);
    std::fs::remove_file(file).expect("must be there");

    let early = scripted.token(ann());
    let seen = Asked::new(&lab, &scripted, &early).await;
    let _ = seen.unauthorized().asked(0);

    lab.webhook().up().await.expect("must listen");
    let seen = Asked::new(&lab, &scripted, &early).await;
    let _ = seen.forbidden("ann").asked(1);
    lab.stop().await;
}

/// A webhook that speaks HTTP/1.1 alone will do: kube-apiserver opens a connection for each review
/// that is under way at once, here ten, and keeps them.
///
/// - Source: `apimachinery/pkg/util/net/http.go`, `SetTransportDefaults`;
///   `client-go/transport/cache.go`, `idleConnsPerHost`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn a_webhook_of_http_1_gets_more_connections(#[context] context: Context) {
    let scripted = Scripted::new();
    let mut plan = bare_only!(planned(scripted.clone()), context);
    let proxy = OldProxy::before(plan.webhook()).await;
    let file = WebhookFile::of(&plan).cluster("server", proxy.url());
    write(&mut plan, &file.text());
    let lab = plan.start().await.expect("must start");

    let tokens: Vec<_> = (0..10).map(|_| scripted.token(ann())).collect();
    let asked = tokens
        .iter()
        .map(|token| Asked::new(&lab, &scripted, token));
    proxy.withhold_answers();
    let all_are_under_way = async {
        called(&scripted, &tokens).await;
        assert_eq!(proxy.connections(), 10);
        proxy.give_answers();
    };
    let (all, ()) = join(join_all(asked), all_are_under_way).await;
    for seen in all {
        let seen = seen.forbidden("ann").asked(1);
        let posted = seen.calls[0].posted.as_ref().expect("must be posted");
        assert_eq!(posted.version, Version::HTTP_11);
    }

    for _ in 0..3 {
        let seen = Asked::new(&lab, &scripted, &scripted.token(ann())).await;
        let _ = seen.forbidden("ann").asked(1);
    }
    assert_eq!(proxy.connections(), 10);
    lab.stop().await;
}

/// How the webhook is asked about somebody whom it knows by an apiserver that has this file.
async fn posted(mut plan: LabPlan, file: &WebhookFile, scripted: &Scripted) -> Posted {
    write(&mut plan, &file.text());
    let lab = Box::pin(plan.start()).await.expect("must start");
    let seen = Asked::new(&lab, scripted, &scripted.token(ann())).await;
    let mut seen = seen.forbidden("ann").asked(1);
    lab.stop().await;
    let call = seen.calls.remove(0);
    call.posted.expect("must be posted")
}

/// From now on the plan's webhook lets nobody in without a certificate of this authority (PEM).
async fn ask_for_a_certificate(plan: &LabPlan, client_ca: &str) {
    let authority = plan.webhook().authority().expect("must be served here");
    let certificate = authority.serving(&[SERVICE_NAME]).expect("must be made");
    let chain = certificate.certificate_pem().as_bytes();
    let tls = Tls::builder(chain, certificate.key_pem().as_bytes());
    let tls = tls.client_ca(client_ca.as_bytes()).build();
    let served = plan
        .webhook()
        .serve_with(Some(tls.expect("must be usable")));
    served.await.expect("must listen");
}

/// The same file, with what it says of the user and this token in a credential plugin
/// (`client-go/pkg/apis/clientauthentication/v1/types.go`, `ExecCredential`, v0.37.2).
fn with_plugin(file: WebhookFile, secret: &str, folder: &RunFolder) -> WebhookFile {
    let version = "client.authentication.k8s.io/v1";
    let credential = json!({
        "apiVersion": version,
        "kind": "ExecCredential",
        "status": {
            "token": secret,
            "clientCertificateData": file.pem_of_user("client-certificate-data"),
            "clientKeyData": file.pem_of_user("client-key-data"),
        },
    });
    // Not `echo`: that of some shells takes `\n` for a line's end.
    let script = format!("#!/bin/sh\ncat <<'END'\n{credential}\nEND\n");
    folder.write("plugin", &script).expect("must be written");
    let executable = std::fs::Permissions::from_mode(0o700);
    let executable = std::fs::set_permissions(folder.file("plugin"), executable);
    executable.expect("must be set");
    let plugin = json!({
        "apiVersion": version,
        "command": "./plugin",
        "interactiveMode": "Never",
    });
    file.user("client-certificate-data", Value::Null)
        .user("client-key-data", Value::Null)
        .user("exec", plugin)
}
