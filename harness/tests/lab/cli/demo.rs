//! `tokenlab demo`: its story for people and for scripts.

use serde_json::Value;

use crate::filters::assert_text;
use crate::home::Home;
use crate::owner::ended;
use crate::programs::{real, stand_in};

/// The tutorial's token.
const TOKEN: &str = "ZGVtbW8tcGFzc3dvcmQ=";

#[tokio::test]
async fn for_people() {
    let home = Home::new().await;
    let output = ended(&mut home.tokenlab(&["demo"]).await).await;
    assert!(output.status.success(), "{output}");
    assert_text!(output.stdout, @r#"
    ✓ 1 the webhook answers at https://127.0.0.1:[port]/authenticate; its certificate names my-authn.kube-system.svc ([time])
    ✓ 2 tokenreview.json posted to it: authenticated, user "mock" ([time])
        {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"mock","uid":"mock","groups":["group-mock"]}}}
    ✓ 3 webhook-config.yml tells the apiserver where, by which CA and by which name ([time])
    ✓ 4 kube-apiserver [version] is ready, with --authentication-token-webhook-config-file=[run folder]/webhook-config.yml ([time])
    ✓ 5 a kubeconfig with the user webhook-test and the token ([time])
    ✓ 6 kubectl get ns ([time])
        Error from server (Forbidden): namespaces is forbidden: User "mock" cannot list resource "namespaces" in API group "" at the cluster scope

    The token was recognised, and mock may do nothing. A token that the webhook refuses is
    Unauthorized (401); this one is Forbidden (403): no role is bound to "mock" or "group-mock".
    [time] in all
    "#);
    // How many there are depends on how long the start takes.
    for line in output.stderr.lines() {
        let title = line.strip_prefix("… ").or(line.strip_prefix("✓ "));
        let title = title.unwrap_or_else(|| panic!("{output}"));
        assert!(
            title.starts_with("starting etcd and kube-apiserver "),
            "{output}"
        );
    }
    assert!(!output.to_string().contains('\u{1b}'), "{output}");
    home.nothing_left().await;
}

#[tokio::test]
async fn for_people_who_would_type_it() {
    let home = Home::new().await;
    let output = ended(&mut home.tokenlab(&["demo", "--verbose"]).await).await;
    assert!(output.status.success(), "{output}");
    assert_text!(output.stdout, @r#"
    ✓ 1 the webhook answers at https://127.0.0.1:[port]/authenticate; its certificate names my-authn.kube-system.svc ([time])
        $ tokenlab-webhook certs --out . --name my-authn.kube-system.svc
        $ tokenlab-webhook serve --mock --tls-cert-file tls.crt --tls-private-key-file tls.key
    ✓ 2 tokenreview.json posted to it: authenticated, user "mock" ([time])
        $ cat [run folder]/tokenreview.json
        $ curl --cacert [run folder]/webhook-ca.crt --resolve my-authn.kube-system.svc:[port]:127.0.0.1 -H 'Content-Type: application/json' -d @[run folder]/tokenreview.json https://my-authn.kube-system.svc:[port]/authenticate
        {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"mock","uid":"mock","groups":["group-mock"]}}}
    ✓ 3 webhook-config.yml tells the apiserver where, by which CA and by which name ([time])
        $ cat [run folder]/webhook-config.yml
    ✓ 4 kube-apiserver [version] is ready, with --authentication-token-webhook-config-file=[run folder]/webhook-config.yml ([time])
        $ cd [run folder] && GOGC=400 [programs]/etcd \
            --advertise-client-urls=unix://etcd.sock:0 \
            --data-dir=etcd \
            --election-timeout=100 \
            --heartbeat-interval=10 \
            --initial-advertise-peer-urls=unix://peer.sock:0 \
            --initial-cluster=default=unix://peer.sock:0 \
            --listen-client-urls=unix://etcd.sock:0 \
            --listen-peer-urls=unix://peer.sock:0 \
            --log-level=warn \
            --unsafe-no-fsync=true
        $ cd [run folder] && GOGC=400 [programs]/kube-apiserver \
            --advertise-address=127.0.0.1 \
            --authentication-token-webhook-config-file=[run folder]/webhook-config.yml \
            --authorization-mode=RBAC \
            --bind-address=127.0.0.1 \
            --client-ca-file=[run folder]/ca.crt \
            --disable-admission-plugins=ServiceAccount \
            --endpoint-reconciler-type=none \
            --etcd-servers=unix://etcd.sock:0 \
            --permit-port-sharing=true \
            --secure-port=[port] \
            --service-account-issuer=https://kubernetes.default.svc \
            --service-account-key-file=[run folder]/sa.pub \
            --service-account-signing-key-file=[run folder]/sa.key \
            --service-cluster-ip-range=10.0.0.0/24 \
            --tls-cert-file=[run folder]/apiserver.crt \
            --tls-private-key-file=[run folder]/apiserver.key
    ✓ 5 a kubeconfig with the user webhook-test and the token ([time])
        $ cat [run folder]/token-[random].kubeconfig
    ✓ 6 kubectl get ns ([time])
        $ [programs]/kubectl --kubeconfig [run folder]/token-[random].kubeconfig get ns
        Error from server (Forbidden): namespaces is forbidden: User "mock" cannot list resource "namespaces" in API group "" at the cluster scope

    The token was recognised, and mock may do nothing. A token that the webhook refuses is
    Unauthorized (401); this one is Forbidden (403): no role is bound to "mock" or "group-mock".
    [time] in all
    With --hold the lab stays, and the cat, curl and kubectl lines work; the others show what it runs.
    "#);
    home.nothing_left().await;
}

#[tokio::test]
async fn for_scripts() {
    let home = Home::new().await;
    let output = ended(&mut home.tokenlab(&["demo", "--json"]).await).await;
    assert!(output.status.success(), "{output}");
    let report: Value = serde_json::from_str(&output.stdout).expect("must be JSON");
    assert_eq!(report["backend"], "bare");
    assert_eq!(report["kubernetes"], real().await.version.to_string());
    assert_eq!(report["source"], "TEST_ASSET_*");
    assert_eq!(
        report["review"]["apiVersion"],
        "authentication.k8s.io/v1beta1"
    );
    assert_eq!(report["review"]["status"]["authenticated"], true);
    assert_eq!(report["review"]["status"]["user"]["username"], "mock");
    assert_eq!(report["kubectl"]["exit_code"], 1);
    assert_eq!(report["kubectl"]["stdout"], "");
    assert_eq!(report["forbidden"], true);
    let steps = report["steps"].as_array().expect("must be a list");
    let names: Vec<_> = steps.iter().map(|step| &step["name"]).collect();
    let all = [
        "webhook",
        "review",
        "config",
        "control plane",
        "kubeconfig",
        "kubectl",
    ];
    assert_eq!(names, all);
    let seconds = |of: &Value| of["seconds"].as_f64().expect("must be a number");
    let sum: f64 = steps.iter().map(seconds).sum();
    assert!(sum > 0.1 && sum <= seconds(&report) + 0.01, "{report:#}");
    home.nothing_left().await;
}

/// A kubectl that is content, and tells what it was given.
#[tokio::test]
async fn when_mock_is_not_forbidden() {
    let home = Home::new().await;
    let script = "echo 'No resources found'; for word; do echo \"argument $word\"; done; \
                  env | grep -E '^(HOME|TMPDIR|KUBECONFIG)='";
    let mut demo = home.tokenlab(&["demo"]).await;
    demo.env(
        "TEST_ASSET_KUBECTL",
        stand_in(&home.file("kubectl"), script),
    )
    .env("KUBECONFIG", "/nowhere");
    let output = ended(&mut demo).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    let error = output.stderr.find("error: ").map(|at| &output.stderr[at..]);
    assert_text!(error.expect("must be told"), @r#"
    error: kubectl did not say that "mock" is forbidden; it said:
    exit code: 0
    ----- stdout -----
    No resources found
    argument --kubeconfig
    argument [run folder]/token-[random].kubeconfig
    argument get
    argument ns
    HOME=[run folder]/token-[random].home
    "#);
    assert!(!output.stderr.contains(TOKEN), "{output}");
    home.only_evidence_left(&output.stderr).await;
}

/// etcd takes `ETCD_NAME` for its flag, and would not find itself in its cluster.
#[tokio::test]
async fn whatever_the_environment_tells_etcd() {
    let home = Home::new().await;
    let mut demo = home.tokenlab(&["demo"]).await;
    let output = ended(demo.env("ETCD_NAME", "another")).await;
    assert!(output.status.success(), "{output}");
    home.nothing_left().await;
}

/// A CI's matrix sets variables to nothing.
#[tokio::test]
async fn variables_that_are_set_but_empty() {
    let home = Home::new().await;
    let mut demo = home.tokenlab(&["demo"]).await;
    let output = ended(demo.env("LAB_KUBERNETES", "").env("LAB_BACKEND", "")).await;
    assert!(output.status.success(), "{output}");
    home.nothing_left().await;
}
