//! What kube-apiserver makes of its webhook's file and flags when it starts: what stops it, and
//! what it says then.

use std::time::Duration;

use rstest::{Context, rstest};
use serde_json::{Value, json};
use tokenlab_harness::{CONFIG_FILE, CONFIG_FILE_FLAG, LabPlan, Scripted, VERSION_FLAG};

use crate::lab::planes::CACHE_TTL;
use crate::lab::webhook_file::{WebhookFile, data, planned, write};
use crate::support::{assert_reviewed, bare_only};

/// What kube-apiserver says when it does not start; it needs no etcd for that, and is given none.
async fn refusal(plan: &LabPlan) -> String {
    let process = plan.apiserver().spawn().expect("must run");
    let ended = tokio::time::timeout(Duration::from_secs(60), process.exit()).await;
    let status = ended.unwrap_or_else(|_| panic!("must end:\n{}", process.log_tail()));
    let log = process.log_tail();
    assert_eq!(status.code(), Some(1), "{log}");
    let told = match log.split_once("\"command failed\" err=\"") {
        // As klog quotes it (`strconv.Quote`), in one line. What goes on until the end, such as the
        // way to etcd, may be logged after it.
        Some((_, told)) => {
            let told = told.lines().next().unwrap_or_default();
            let told = told.strip_suffix('"').unwrap_or(told);
            told.replace("\\\"", "\"").replace("\\n", "\n")
        }
        // As cobra says it, of flags.
        None => match log.split_once("Error: ") {
            Some((_, told)) => told.to_owned(),
            None => panic!("must say why:\n{log}"),
        },
    };
    told.replace(plan.folder().path().as_str(), "[run folder]")
}

/// What the webhook's file names and what is in it is looked at when kube-apiserver starts, and
/// stops it: a file that is missing is named, and its entry. The webhook's own file and its flag
/// are not; where no usable context is, kube-apiserver even asks for an environment variable.
///
/// - Source: `apiserver/pkg/util/webhook/webhook.go`, `LoadKubeconfig`;
///   `client-go/tools/clientcmd/validation.go`, v0.37.2
/// - Upstream test: `TestKubeConfigFile` (unit, one layer)
#[rstest]
#[case::missing_context_none_specified(|file: WebhookFile| {
    file.top("contexts", Value::Null).top("current-context", Value::Null)
})]
#[case::missing_context(|file: WebhookFile| file.top("current-context", "elsewhere"))]
#[case::context_without_cluster(|file: WebhookFile| file.context("cluster", Value::Null))]
#[case::context_with_missing_cluster(|file: WebhookFile| file.context("cluster", "elsewhere"))]
#[case::cluster_without_server(|file: WebhookFile| file.cluster("server", Value::Null))]
#[case::invalid_ca_path(|file: WebhookFile| {
    file.cluster("certificate-authority-data", Value::Null)
        .cluster("certificate-authority", "ca.pem")
})]
#[case::invalid_ca(|file: WebhookFile| {
    let key = file.of_user("client-key-data").clone();
    file.cluster("certificate-authority-data", key)
})]
#[case::invalid_ca_no_pem(|file: WebhookFile| {
    file.cluster("certificate-authority-data", data("not a certificate"))
})]
#[case::invalid_ca_parse_error(|file: WebhookFile| {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIDGTCCAgGg\n-----END CERTIFICATE-----\n";
    file.cluster("certificate-authority-data", data(pem))
})]
#[case::invalid_client_certificate_path(|file: WebhookFile| {
    file.user("client-certificate-data", Value::Null).user("client-certificate", "client.pem")
})]
#[case::invalid_client_certificate(|file: WebhookFile| {
    let key = file.of_user("client-key-data").clone();
    file.user("client-certificate-data", key)
})]
#[case::invalid_client_key_path(|file: WebhookFile| {
    file.user("client-key-data", Value::Null).user("client-key", "client-key.pem")
})]
#[case::invalid_client_key(|file: WebhookFile| {
    let certificate = file.of_user("client-certificate-data").clone();
    file.user("client-key-data", certificate)
})]
#[case::both_forms_of_the_client_certificate(|file: WebhookFile| {
    file.user("client-certificate", "changed.yml")
})]
#[case::two_ways_to_be_known(|file: WebhookFile| {
    file.user("token", "lab-token").user("username", "ann").user("password", "lab-password")
})]
#[case::a_plugin_that_may_ask_a_person_or_not(|file: WebhookFile| {
    let plugin = json!({ "apiVersion": "client.authentication.k8s.io/v1", "command": "true" });
    file.user("exec", plugin)
})]
#[case::invalid_proxy(|file: WebhookFile| file.cluster("proxy-url", "proxy.example.org:3128"))]
#[case::insecure_with_a_ca(|file: WebhookFile| file.cluster("insecure-skip-tls-verify", true))]
#[tokio::test]
async fn a_file_that_is_not_sound_stops_the_apiserver(
    #[context] context: Context,
    #[case] change: fn(WebhookFile) -> WebhookFile,
) {
    let mut plan = bare_only!(planned(Scripted::new()), context);
    let file = change(WebhookFile::of(&plan));
    write(&mut plan, &file.text());
    let told = refusal(&plan).await;
    assert_reviewed!(context, told);
}

/// A file that is no kubeconfig stops kube-apiserver; only broken YAML is told with its line.
///
/// - Source: `client-go/tools/clientcmd/loader.go`, `LoadFromFile`, v0.37.2
/// - Upstream test: `TestErrorReadingFile` (unit, one layer)
#[rstest]
#[case::broken_yaml("apiVersion: v1\nkind: Config\nclusters:\n- name: a\n   cluster: {}\n")]
#[case::a_tab("apiVersion: v1\nkind: Config\n\tclusters: []\n")]
#[case::another_kind("apiVersion: v1\nkind: Pod\n")]
#[case::another_version("apiVersion: v2\nkind: Config\n")]
#[case::a_word_for_a_list("apiVersion: v1\nkind: Config\nusers: ann\n")]
#[case::text_for_data(
    "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {certificate-authority-data: '%'}}]\n"
)]
#[case::empty("")]
#[tokio::test]
async fn a_file_that_is_no_kubeconfig_stops_the_apiserver(
    #[context] context: Context,
    #[case] text: &str,
) {
    let mut plan = bare_only!(planned(Scripted::new()), context);
    write(&mut plan, text);
    let told = refusal(&plan).await;
    assert_reviewed!(context, told);
}

/// A file that is not there stops kube-apiserver, which then names it; so does a folder. In a Pod
/// that is what a file looks like that is not mounted.
///
/// - Source: `client-go/tools/clientcmd/loader.go`, `ClientConfigLoadingRules.Load`, v0.37.2
/// - Upstream test: `TestMissingKubeConfigFile`, `TestErrorReadingNonFile` (unit, one layer)
/// - Seen by users: kubernetes-sigs/kind#2209, kubernetes-sigs/aws-iam-authenticator#31, P1, P3
#[rstest]
#[case::missing("missing.yml")]
#[case::a_folder("logs")]
#[tokio::test]
async fn a_file_that_is_not_there_stops_the_apiserver(
    #[context] context: Context,
    #[case] name: &str,
) {
    let mut plan = bare_only!(planned(Scripted::new()), context);
    let path = plan.folder().file(name);
    plan.flags().set(CONFIG_FILE_FLAG, path);
    let told = refusal(&plan).await;
    assert_reviewed!(context, told);
}

/// Of two files the last counts: kube-apiserver has one webhook.
///
/// - Source: `kubernetes/pkg/kubeapiserver/options/authentication.go`, `AddFlags`, v1.37.2
/// - Upstream test: none
/// - Seen by users: kubernetes/kubernetes#65874
#[rstest]
#[tokio::test]
async fn of_two_files_the_last_is_read(#[context] context: Context) {
    let mut plan = bare_only!(planned(Scripted::new()), context);
    let second = plan.folder().file("second.yml");
    plan.flags().append(CONFIG_FILE_FLAG, second);
    let told = refusal(&plan).await;
    assert_eq!(
        told,
        "stat [run folder]/second.yml: no such file or directory"
    );
}

/// A flag that is not as it should be stops kube-apiserver, which names what it would take. The
/// version is the bare one, without its group.
///
/// - Source: `kubernetes/pkg/kubeapiserver/options/authentication.go`, `AddFlags`, v1.37.2;
///   `apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2
/// - Upstream test: none
#[rstest]
#[case::a_version_that_is_not_there(VERSION_FLAG, "v2")]
#[case::a_version_with_its_group(VERSION_FLAG, "authentication.k8s.io/v1")]
#[case::a_time_without_its_unit(CACHE_TTL, "10")]
#[tokio::test]
async fn a_flag_that_is_not_sound_stops_the_apiserver(
    #[context] context: Context,
    #[case] name: &'static str,
    #[case] value: &str,
) {
    let mut plan = bare_only!(planned(Scripted::new()), context);
    plan.flags().set(name, value);
    let told = refusal(&plan).await;
    assert_reviewed!(context, told);
}

/// A webhook has no place in the structured configuration of authentication: flags alone tell of
/// it.
///
/// - Source: `apiserver/pkg/apis/apiserver/v1/types.go`, `AuthenticationConfiguration`, v0.37.2
/// - Upstream test: none
#[rstest]
#[tokio::test]
async fn the_structured_configuration_takes_no_webhook(#[context] context: Context) {
    let mut plan = bare_only!(planned(Scripted::new()), context);
    let authentication = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "webhook": { "configFile": CONFIG_FILE },
    });
    let path = plan
        .folder()
        .write("authentication.yml", &authentication.to_string());
    let path = path.expect("must be written");
    plan.flags().set("authentication-config", path);
    let told = refusal(&plan).await;
    assert_reviewed!(context, told);
}
