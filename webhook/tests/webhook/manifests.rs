use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{PROGRAM, run};

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
        "--client-ca", "pki/ca.crt", "--client-name", "one,two",
        "--control-plane", "10.0.0.9/28,10.1.0.1",
    ];
    let text = run(&wanted, dir.path()).await;
    assert!(text.starts_with("exit_code: 0"), "{text}");
    let (_, notes) = text.split_once("----- stderr -----\n").expect("stderr");
    insta::assert_snapshot!(notes, @r"
    note: the apiserver's file is printed by
      tokenlab-webhook kubeconfig --server https://ADDRESS-OF-THE-SERVICE --tls-server-name authn.auth.svc \
      --certificate-authority CA-OF-THE-WEBHOOK \
      --client-certificate CERTIFICATE --client-key KEY
    ");
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
#[rstest]
#[case::mock("--mock", "mock")]
#[case::tokens("--token-file tokens", "token-file")]
#[case::file("--config in-the-file --file tokens", "token-file")]
#[case::both("--config right --token-file tokens", "token-file")]
#[cfg_attr(
    feature = "ldap",
    case::directory("--config in-the-pod --file pki/ca.crt", "ldap")
)]
#[tokio::test]
async fn serve_takes_the_arguments(#[case] decides: &str, #[case] said: &str) {
    let dir = settings().await;
    let wanted: Vec<_> = "manifests --webhook-config config.yml"
        .split(' ')
        .chain(decides.split(' '))
        .collect();
    let text = run(&wanted, dir.path()).await;
    assert_eq!(
        text.contains("image build --ldap"),
        said == "ldap",
        "{text}"
    );
    let documents = documents(&text);
    symlink("ca.crt", dir.path().join("pki/client-ca.crt")).expect("a link");
    let secret = documents
        .iter()
        .find(|document| document["metadata"]["name"] == "my-authn-settings");
    for (name, data) in secret
        .iter()
        .flat_map(|secret| secret["data"].as_object().expect("data"))
    {
        let data = STANDARD
            .decode(data.as_str().expect("text"))
            .expect("base64");
        let text = String::from_utf8(data).expect("text");
        let text = text.replace("/run/tokenlab-webhook/settings/", "");
        fs::write(dir.path().join(name), text).expect("a file");
    }
    let args = args(of_kind(&documents, "Deployment")).join("\n");
    let args = args.replace("/run/tokenlab-webhook/tls", "pki");
    let args = args.replace("/run/tokenlab-webhook/settings/", "");
    let args = args.replacen("serve", "check-config", 1);
    let checked = run(&args.lines().collect::<Vec<_>>(), dir.path()).await;
    assert!(checked.starts_with("exit_code: 0"), "{checked}");
    assert!(checked.contains(&format!("decides: {said}")), "{checked}");
    assert!(
        checked.contains("clients: with a certificate for kube-apiserver"),
        "{checked}"
    );
}

/// A folder with certificates, a token file, and what `serve --config` would take in the Pod or not.
async fn settings() -> TempDir {
    let dir = folder();
    for (name, text) in [
        ("right", "maxInFlight: 7\n"),
        ("another", "maxInFlight: 8\n"),
        ("wrong", "maxInflight: 7\n"),
        ("plain", "plainHttp: true\n"),
        ("any", "noClientCertificates: true\n"),
        ("mock", "mock: true\n"),
        ("mine", "tokenFile: /home/ann/tokens\n"),
        (
            "in-the-file",
            "tokenFile: /run/tokenlab-webhook/settings/tokens\n",
        ),
        (
            "ldap",
            "ldap:\n  url: ldaps://d\n  caFile: ca.crt\n  bind:\n    template: uid={username}\n",
        ),
        (
            "in-the-pod",
            "ldap:\n  url: ldaps://d\n  caFile: /run/tokenlab-webhook/settings/ca.crt\n  bind:\n    \
             template: uid={username}\n",
        ),
        ("a+b", ""),
        ("webhook.yaml", ""),
    ] {
        fs::write(dir.path().join(name), text).expect("a file");
    }
    for args in ["certs --out pki", "token --user ann --file tokens"] {
        let text = run(&args.split(' ').collect::<Vec<_>>(), dir.path()).await;
        assert!(text.starts_with("exit_code: 0"), "{text}");
    }
    dir
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
#[case::nobody_in_the_file("--config right --webhook-config c", 2, "nobody decides")]
#[case::plain(
    "--config plain --token-file tokens --webhook-config c",
    2,
    "`plainHttp` (`plain`, line 1)"
)]
#[case::any(
    "--config any --token-file tokens --webhook-config c",
    2,
    "`noClientCertificates` (`any`"
)]
#[case::mock(
    "--config mock --webhook-config c",
    2,
    "`mock` (`mock`, line 1) would let everybody in"
)]
#[case::elsewhere(
    "--config mine --webhook-config c",
    2,
    "`/home/ann/tokens`, which is not in the Pod"
)]
#[case::not_given("--config in-the-file --webhook-config c", 2, "not in the Pod")]
#[case::directory(
    "--config ldap --webhook-config c",
    2,
    "`ca.crt`, which is not in the Pod"
)]
#[case::client_name("--mock --client-name a,,b --webhook-config c", 2, "--client-name")]
#[case::there("--mock --webhook-config right", 1, "`right` is there already")]
#[case::forced(
    "--token-file tokens --tls-secret s --client-ca pki/ca.crt --force",
    2,
    "--force"
)]
#[case::digest("--mock --webhook-config c --image a@sha256:00", 2, "digest")]
#[case::authority("--mock --tls-secret s --client-ca right", 1, "no certificate")]
#[case::secret_alone("--mock --tls-secret s", 2, "--client-ca")]
#[tokio::test]
async fn what_is_refused(#[case] args: &str, #[case] code: u8, #[case] said: &str) {
    let dir = settings().await;
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

/// The Pods' template: another one makes other Pods.
async fn template(dir: &TempDir, args: &str) -> Value {
    let always = "manifests --tls-secret s --client-ca pki/ca.crt";
    let args: Vec<_> = always.split(' ').chain(args.split(' ')).collect();
    let text = run(&args, dir.path()).await;
    assert!(text.starts_with("exit_code: 0"), "{text}");
    of_kind(&documents(&text), "Deployment")["spec"]["template"].clone()
}

#[tokio::test]
async fn another_configuration_makes_other_pods_and_another_token_none() {
    let dir = settings().await;
    let one = template(&dir, "--token-file tokens --config right").await;
    let other = template(&dir, "--token-file tokens --config another").await;
    assert_ne!(one, other);
    let token = ["token", "--user", "bob", "--file", "tokens"];
    let token = run(&token, dir.path()).await;
    assert!(token.starts_with("exit_code: 0"), "{token}");
    let more = template(&dir, "--token-file tokens --config right").await;
    assert_eq!(one, more);
}

#[tokio::test]
async fn an_image_can_be_told_by_its_digest() {
    let dir = settings().await;
    let image = format!("registry.example/authn:v1@sha256:{}", "0f".repeat(32));
    let args = format!("--token-file tokens --image {image}");
    let container = &template(&dir, &args).await["spec"]["containers"][0];
    assert_eq!(container["image"], image.as_str());
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
}

/// The only key that fits what runs is not lost to somebody who looks again.
#[tokio::test]
async fn the_apiservers_file_is_replaced_when_told_and_all_else_is_done() {
    let dir = settings().await;
    let path = dir.path().join("config.yml");
    let wanted = ["manifests", "--mock", "--webhook-config", "config.yml"];
    let first = run(&wanted, dir.path()).await;
    assert!(
        first.contains("start each kube-apiserver with `config.yml`"),
        "{first}"
    );
    let read = || fs::read_to_string(&path).expect("a file");
    let one = read();
    let again = run(&wanted, dir.path()).await;
    assert!(again.contains("hint: `--force` replaces it"), "{again}");
    assert_eq!(read(), one);

    // Nobody reads what is printed.
    let full = fs::File::options().write(true).open("/dev/full");
    let status = Command::new(PROGRAM)
        .args(wanted)
        .arg("--force")
        .current_dir(dir.path())
        .stdout(full.expect("a device"))
        .status()
        .await
        .expect("a program");
    assert_eq!(status.code(), Some(1));
    assert_eq!(read(), one);

    let forced = [&wanted[..], &["--force"]].concat();
    let forced = run(&forced, dir.path()).await;
    assert!(forced.starts_with("exit_code: 0"), "{forced}");
    assert_ne!(read(), one);
}
