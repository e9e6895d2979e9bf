//! What a cluster leaves that failed: one folder that can be shown to others.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokenlab_harness::{
    Cluster, ClusterError, DeploymentError, Image, Wire, WiringError, fresh_token,
};
use tokenlab_webhook::Token;

/// What is always there, and not empty, once a node has come up.
const FILES: [&str; 20] = [
    "containerd.log",
    "containers.txt",
    "docker-info.txt",
    "docker-version.txt",
    "events.txt",
    "kube-apiserver.command-line",
    "kube-apiserver.log",
    "kube-apiserver.yaml",
    "kube-proxy.log",
    "kubeadm.yaml",
    "kubelet.log",
    "network.txt",
    "node.json",
    "node.log",
    "nodes.txt",
    "objects.txt",
    "resources.txt",
    "run-folder/authn-webhook-deploy.yml",
    "run-folder/command-lines",
    "webhook.txt",
];

async fn start(wire: Wire) -> Cluster {
    let plan = Cluster::builder().wire(wire).plan().await;
    let lab = plan.expect("must be planned").start().await;
    lab.expect("must start")
}

/// Ends a cluster as one does that failed, and looks at what it leaves: the texts of all files,
/// after it was made sure that none has a secret.
async fn left(lab: Cluster, tokens: &[&Token]) -> BTreeMap<String, String> {
    let folder = lab.plan().folder().path().to_owned();
    // The admin's key, which the run folder has in a kubeconfig.
    let admin = std::fs::read_to_string(folder.join("kind.kubeconfig")).expect("must be read");
    let (_, key) = admin
        .split_once("client-key-data: ")
        .expect("must be there");
    let key = key.lines().next().expect("must have a value").to_owned();
    let pem = STANDARD.decode(&key).expect("must be base64");
    let pem = String::from_utf8(pem).expect("must be PEM");
    let mut secrets = vec![
        key[40..80].to_owned(),
        pem.lines().nth(1).expect("must have a body").to_owned(),
        "PRIVATE KEY".to_owned(),
        // How base64 begins of a key: `-----BEGIN P…`, `-----BEGIN R…`, `-----BEGIN E…`.
        "LS0tLS1CRUdJTiBQ".to_owned(),
        "LS0tLS1CRUdJTiBS".to_owned(),
        "LS0tLS1CRUdJTiBF".to_owned(),
        // kind's own bootstrap token (`pkg/cluster/internal/kubeadm/const.go`).
        "0123456789abcdef".to_owned(),
    ];
    for token in tokens {
        secrets.extend([token.expose().to_owned(), STANDARD.encode(token.expose())]);
    }
    lab.keep(&"a canary died").await;
    lab.stop().await;

    let entries = folder.read_dir_utf8().expect("must be kept").flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name().to_owned()).collect();
    assert_eq!(names, ["diagnostics"], "the rest must be gone");
    let mut texts = BTreeMap::new();
    let mut folders = vec![folder.join("diagnostics")];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir_utf8().expect("must be read").flatten() {
            if entry.file_type().expect("must be known").is_dir() {
                folders.push(entry.into_path());
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).expect("must be UTF-8");
            for secret in &secrets {
                assert!(!text.contains(secret), "{}: {secret}", entry.path());
            }
            let name = entry.path().strip_prefix(folder.join("diagnostics"));
            texts.insert(name.expect("must be in it").to_string(), text);
        }
    }
    assert_eq!(texts["failure.txt"].trim(), "a canary died");
    let readme = &texts["README.txt"];
    let _ = writeln!(std::io::stderr(), "{readme}");
    for file in FILES {
        assert!(
            texts.get(file).is_some_and(|text| !text.trim().is_empty()),
            "{file}:\n{readme}"
        );
    }
    for name in texts.keys().filter(|name| *name != "README.txt") {
        let entry = format!("\n{name} ");
        assert!(readme.contains(&entry), "{name}:\n{readme}");
    }
    std::fs::remove_dir_all(&folder).expect("must be removed");
    texts
}

#[tokio::test]
async fn of_an_image_that_was_never_loaded() {
    if !super::allowed("kind::diagnostics::of_an_image_that_was_never_loaded") {
        return;
    }
    let lab = start(Wire::Create).await;
    let error = lab.deploy().await.expect_err("must fail");
    let no_image = DeploymentError::NoImage {
        image: String::new(),
        said: String::new(),
    };
    let ClusterError::Deployment(error) = &error else {
        panic!("{error}");
    };
    assert_eq!(
        std::mem::discriminant(error),
        std::mem::discriminant(&no_image),
        "{error}"
    );
    let token = fresh_token();
    let kubectl = lab.kubectl_as(&token).expect("must be written");
    // The token is known to the folder; a command line with another one is not.
    let typed = Token::from("canary/of-a-command+line==");
    for args in [
        vec!["get", "ns"],
        vec!["get", "ns", "--token", typed.expose()],
    ] {
        kubectl.run(args).await.expect("must run");
    }
    let texts = left(lab, &[&token, &typed]).await;
    for (file, says) in [
        ("webhook.txt", "ErrImageNeverPull"),
        ("events.txt", "ErrImageNeverPull"),
        ("kubelet.log", "ErrImageNeverPull"),
        (
            "webhook-config.yml",
            "tls-server-name: my-authn.kube-system.svc",
        ),
        ("kube-apiserver.log", "webhook"),
        ("run-folder/command-lines", "kubectl --kubeconfig"),
        ("run-folder/command-lines", "--token [REDACTED: token]"),
        (
            "run-folder/authn-webhook-deploy.yml",
            "tls.key: [REDACTED: Secret]",
        ),
        (
            "README.txt",
            "\n  webhook.log:\n    there is no /var/log/pods/kube-system_my-authn-",
        ),
    ] {
        assert!(
            texts[file].contains(says),
            "{file}: {says}:\n{}",
            texts[file]
        );
    }
}

#[tokio::test]
async fn of_a_flag_that_was_rolled_back() {
    if !super::allowed("kind::diagnostics::of_a_flag_that_was_rolled_back") {
        return;
    }
    let image = Image::builder().build().await.expect("must be built");
    let lab = start(Wire::Patch).await;
    lab.load(&image).await.expect("must be loaded");
    lab.deploy().await.expect("must answer");
    let error = lab.wire_by("this is no kubeconfig").await;
    let error = error.expect_err("must fail");
    assert!(
        matches!(&error, ClusterError::Wiring(WiringError::RolledBack { .. })),
        "{error}"
    );
    let token = fresh_token();
    let kubectl = lab.kubectl_as(&token).expect("must be written");
    kubectl.run(["get", "ns"]).await.expect("must run");
    let texts = left(lab, &[&token]).await;
    assert!(!texts["webhook.log"].trim().is_empty());
    assert!(!texts["kube-apiserver.yaml"].contains("webhook-config"));
    let failed = &texts["kube-apiserver.rolled-back"];
    for says in [
        "--authentication-token-webhook-config-file=/etc/kubernetes/pki/webhook-config.yml",
        "\nthis is no kubeconfig",
        // Its last words.
        "cannot unmarshal string into Go value",
    ] {
        assert!(failed.contains(says), "{says}:\n{failed}");
    }
}
