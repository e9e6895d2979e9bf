use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::run;

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// The documents on stdout, read back.
fn documents(text: &str) -> Vec<Value> {
    let (_, rest) = text.split_once("----- stdout -----\n").expect("stdout");
    let (yaml, _) = rest.split_once("----- stderr -----").expect("stderr");
    let read = |document| serde_saphyr::from_str(document).expect("YAML");
    // Not at the end of a line of PEM.
    yaml.split("\n---\n").map(read).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let found = documents.iter().find(|document| document["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

fn args(deployment: &Value) -> Vec<&str> {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().expect("a list");
    args.iter().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn certificates_are_made_and_belong_together() {
    let dir = folder();
    let wanted = ["manifests", "--mock", "--webhook-config", "config.yml"];
    let text = run(&wanted, dir.path()).await;
    assert!(text.starts_with("exit_code: 0"), "{text}");
    assert!(
        text.contains("note: the certificates end after 7 days"),
        "{text}"
    );
    let documents = documents(&text);
    let kinds: Vec<_> = documents.iter().map(|one| one["kind"].as_str()).collect();
    let expected = [
        "ServiceAccount",
        "Secret",
        "ConfigMap",
        "PodDisruptionBudget",
        "Service",
        "Deployment",
    ];
    assert_eq!(kinds, expected.map(Some));
    assert_eq!(of_kind(&documents, "Deployment")["spec"]["replicas"], 2);

    let path = dir.path().join("config.yml");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "there is a key in it");
    let config = fs::read_to_string(path).expect("a file");
    let config: Value = serde_saphyr::from_str(&config).expect("YAML");
    let cluster = &config["clusters"][0]["cluster"];
    assert_eq!(
        cluster["server"],
        "https://my-authn.kube-system.svc/authenticate"
    );
    assert!(config["users"][0]["user"]["client-key-data"].is_string());
    assert!(
        !text.contains(
            config["users"][0]["user"]["client-key-data"]
                .as_str()
                .expect("text")
        )
    );
}

#[tokio::test]
async fn files_go_into_a_secret_and_are_named() {
    let dir = folder();
    fs::write(dir.path().join("mine.yaml"), "maxInFlight: 7\n").expect("a file");
    fs::write(dir.path().join("ca.crt"), "PEM").expect("a file");
    let token = ["token", "--user", "ann", "--file", "tokens"];
    let token = run(&token, dir.path()).await;
    assert!(token.starts_with("exit_code: 0"), "{token}");
    let certs = run(&["certs", "--out", "pki"], dir.path()).await;
    assert!(certs.starts_with("exit_code: 0"), "{certs}");
    #[rustfmt::skip]
    let wanted = [
        "manifests", "--config", "mine.yaml", "--file", "ca.crt", "--token-file", "tokens",
        "--name", "authn", "--namespace", "auth", "--tls-secret", "authn-tls",
        "--client-ca", "pki/ca.crt", "--client-name", "one", "--client-name", "two",
        "--control-plane", "10.0.0.9/28,10.1.0.1",
    ];
    let text = run(&wanted, dir.path()).await;
    assert!(text.starts_with("exit_code: 0"), "{text}");
    assert!(text.ends_with("----- stderr -----\n"), "{text}");
    let documents = documents(&text);
    let settings = of_kind(&documents, "Secret");
    assert_eq!(settings["metadata"]["name"], "authn-settings");
    let keys = settings["data"].as_object().expect("an object").keys();
    assert_eq!(
        keys.collect::<Vec<_>>(),
        ["ca.crt", "tokens.jsonl", "webhook.yaml"]
    );
    let deployment = of_kind(&documents, "Deployment");
    let args = args(deployment);
    for expected in [
        "--config=/run/tokenlab-webhook/settings/webhook.yaml",
        "--token-file=/run/tokenlab-webhook/settings/tokens.jsonl",
        "--client-name=one",
        "--client-name=two",
    ] {
        assert!(args.contains(&expected), "{args:?}");
    }
    assert!(!args.contains(&"--mock"), "{args:?}");
    let policy = &of_kind(&documents, "NetworkPolicy")["spec"]["ingress"][0];
    assert_eq!(
        policy["from"],
        serde_json::json!([
            { "ipBlock": { "cidr": "10.0.0.0/28" } },
            { "ipBlock": { "cidr": "10.1.0.1/32" } },
        ])
    );
}

/// What the Pod is told is what `serve` takes: the program itself says so.
#[tokio::test]
async fn serve_takes_the_arguments() {
    let dir = folder();
    let wanted = ["manifests", "--mock", "--webhook-config", "config.yml"];
    let text = run(&wanted, dir.path()).await;
    let documents = documents(&text);
    let certs = run(&["certs", "--out", "pki"], dir.path()).await;
    assert!(certs.starts_with("exit_code: 0"), "{certs}");
    symlink("ca.crt", dir.path().join("pki/client-ca.crt")).expect("a link");
    let args = args(of_kind(&documents, "Deployment")).join("\n");
    let args = args.replace("/run/tokenlab-webhook/tls", "pki");
    let args = args.replacen("serve", "check-config", 1);
    let checked = run(&args.lines().collect::<Vec<_>>(), dir.path()).await;
    assert!(checked.starts_with("exit_code: 0"), "{checked}");
    assert!(
        checked.contains("clients: with a certificate for kube-apiserver"),
        "{checked}"
    );
}

#[rstest]
#[case::nobody_decides("--webhook-config c", 2, "--token-file")]
#[case::nobody_could_ask("--mock", 2, "--webhook-config")]
#[case::two_decide("--mock --token-file t --webhook-config c", 2, "cannot be used with")]
#[case::block("--mock --webhook-config c --control-plane 10.0.0.0/33", 2, "block")]
#[case::address("--mock --webhook-config c --cluster-ip 127.0.0.1", 2, "no Service")]
#[case::name("--mock --webhook-config c --name A", 2, "lower-case")]
#[case::replicas("--mock --webhook-config c --replicas 0", 2, "0 is not in")]
#[case::no_folder("--mock --webhook-config none/c", 1, "cannot write `none/c`")]
#[case::no_file("--config none --webhook-config c", 1, "`none`")]
#[case::content("--config wrong --webhook-config c", 2, "wrong")]
#[case::key(
    "--config right --file a+b --webhook-config c",
    2,
    "no file of a Secret"
)]
#[case::twice(
    "--config right --file webhook.yaml --webhook-config c",
    2,
    "another file"
)]
#[case::authority("--mock --tls-secret s --client-ca right", 1, "no certificate")]
#[case::secret_alone("--mock --tls-secret s", 2, "--client-ca")]
#[tokio::test]
async fn what_is_refused(#[case] args: &str, #[case] code: u8, #[case] said: &str) {
    let dir = folder();
    for (name, text) in [
        ("right", "maxInFlight: 7\n"),
        ("wrong", "maxInflight: 7\n"),
        ("a+b", ""),
        ("webhook.yaml", ""),
    ] {
        fs::write(dir.path().join(name), text).expect("a file");
    }
    let args: Vec<_> = std::iter::once("manifests")
        .chain(args.split(' '))
        .collect();
    let text = run(&args, dir.path()).await;
    assert!(text.starts_with(&format!("exit_code: {code}\n")), "{text}");
    assert!(
        text.contains("----- stdout -----\n----- stderr -----\n"),
        "{text}"
    );
    assert!(text.contains(said), "{text}");
    assert!(!dir.path().join("c").exists(), "something was written");
}
