//! What the objects are, and that a real kube-apiserver takes them.

use std::net::IpAddr;

use tokenlab_harness::{Kubectl, Lab, LabError, Manifests, Output};
use tokenlab_webhook::manifests::{Credentials, Serving};
use tokenlab_webhook::pki::CertificateAuthority;

fn credentials(manifests: &Manifests) -> Credentials {
    let authority = CertificateAuthority::new("test").expect("must be made");
    manifests.credentials(&authority).expect("must be made")
}

/// What a cluster of several nodes gets.
fn production() -> Manifests {
    let block = |text: &str| text.parse().expect("must be a block");
    Manifests {
        image: "registry.example/authn:v1".parse().expect("must be a name"),
        replicas: 2,
        cluster_ip: Some(IpAddr::from([10, 0, 0, 53])),
        clients: vec!["kube-apiserver".to_owned(), "spare".to_owned()],
        // The bits behind the length do not matter, and a kube-apiserver warns of them.
        control_plane: vec![block("10.0.0.9/28"), block("fd00::7/128")],
        authenticator: vec!["--config=/run/tokenlab-webhook/settings/webhook.yaml".to_owned()],
        files: [("webhook.yaml".to_owned(), b"mock: true".to_vec())].into(),
        ..Manifests::default()
    }
}

#[test]
fn the_same_choices_and_certificate_give_the_same_text() {
    let manifests = Manifests {
        cluster_ip: Some(IpAddr::from([10, 96, 0, 53])),
        ..Manifests::default()
    };
    let credentials = credentials(&manifests);
    let yaml = manifests.yaml(&credentials);
    assert_eq!(yaml, manifests.yaml(&credentials));
    snapshot("authn-webhook-deploy", &yaml);
}

#[test]
fn several_pods_are_spread_guarded_and_reached_by_the_control_plane() {
    let manifests = production();
    let yaml = manifests.yaml(&credentials(&manifests));
    snapshot("authn-webhook-deploy-production", &yaml);
}

#[test]
fn a_secret_of_somebody_elses_is_used_and_not_printed() {
    let manifests = production();
    let credentials = Credentials {
        serving: Serving::Secret("authn-tls".to_owned()),
        ..credentials(&manifests)
    };
    assert_eq!(manifests.secret(&credentials), None);
    let yaml = manifests.yaml(&credentials);
    assert!(yaml.contains("name: authn-tls"), "{yaml}");
    for gone in ["tls.key:", "tokenlab/certificate"] {
        assert!(!yaml.contains(gone), "{yaml}");
    }
}

#[test]
fn what_is_for_passwords_is_not_shown() {
    let manifests = Manifests {
        files: [("password".to_owned(), b"hush".to_vec())].into(),
        ..Manifests::default()
    };
    let shown = format!("{manifests:?}");
    assert!(
        shown.contains("password") && !shown.contains("104, 117"),
        "{shown}"
    );
}

fn snapshot(name: &str, yaml: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // Certificate and key are other ones in each run.
    settings.add_filter(
        r"tls\.(crt|key): >-\n +[A-Za-z0-9+/=]+",
        "tls.$1: [PEM IN BASE64]",
    );
    settings.add_filter(
        r"(?s)-----BEGIN CERTIFICATE-----.*-----END CERTIFICATE-----",
        "[PEM]",
    );
    settings.add_filter(r"(tokenlab/certificate): [0-9a-f]{64}", "$1: [SHA-256]");
    settings.bind(|| insta::assert_snapshot!(name, yaml));
}

#[test]
fn another_certificate_makes_other_pods() {
    let manifests = Manifests::default();
    let one = manifests.deployment(&credentials(&manifests));
    let two = manifests.deployment(&credentials(&manifests));
    assert_ne!(one.spec.template, two.spec.template);
    assert_eq!(one.spec.selector, two.spec.selector);
}

#[test]
fn only_an_image_of_a_registry_is_pulled() {
    let policy = |image: &str| {
        let manifests = Manifests {
            image: image.parse().expect("must be a name"),
            ..Manifests::default()
        };
        let deployment = manifests.deployment(&credentials(&manifests));
        let pod = deployment.spec.template.spec.expect("must be there");
        pod.containers[0].image_pull_policy.clone()
    };
    assert_eq!(policy("pwk/authn-webhook:v0.1").as_deref(), Some("Never"));
    assert_eq!(
        policy("docker.io/pwk/authn-webhook:v0.1").as_deref(),
        Some("IfNotPresent")
    );
}

/// Applies a text; the outcome is compared, so that a warning fails the test.
async fn apply(
    lab: &Lab,
    kubectl: &Kubectl,
    yaml: &str,
    flags: &[&str],
) -> Result<Output, LabError> {
    let file = lab.folder().write("apply.yml", yaml)?;
    let args = ["apply", "--server-side", "-f", file.as_str()];
    Ok(kubectl.run(args.iter().chain(flags)).await?)
}

fn said(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

#[tokio::test]
async fn a_kube_apiserver_takes_them_without_a_warning() -> Result<(), LabError> {
    let scope = async |lab: &mut Lab| {
        let kubectl = lab.kubectl()?;
        let manifests = production();
        let credentials = credentials(&manifests);
        let yaml = manifests.yaml(&credentials);
        let tried = apply(lab, &kubectl, &yaml, &["--dry-run=server"]).await?;
        let taken = apply(lab, &kubectl, &yaml, &[]).await?;
        insta::assert_snapshot!(said(&tried) + &said(&taken), @"
        serviceaccount/my-authn serverside-applied (server dry run)
        secret/my-authn serverside-applied (server dry run)
        configmap/my-authn serverside-applied (server dry run)
        secret/my-authn-settings serverside-applied (server dry run)
        networkpolicy.networking.k8s.io/my-authn serverside-applied (server dry run)
        poddisruptionbudget.policy/my-authn serverside-applied (server dry run)
        service/my-authn serverside-applied (server dry run)
        deployment.apps/my-authn serverside-applied (server dry run)
        serviceaccount/my-authn serverside-applied
        secret/my-authn serverside-applied
        configmap/my-authn serverside-applied
        secret/my-authn-settings serverside-applied
        networkpolicy.networking.k8s.io/my-authn serverside-applied
        poddisruptionbudget.policy/my-authn serverside-applied
        service/my-authn serverside-applied
        deployment.apps/my-authn serverside-applied
        ");
        // What was not understood would have been dropped: nothing is left to change.
        let diff = kubectl
            .run([
                "diff",
                "--server-side",
                "-f",
                lab.folder().file("apply.yml").as_str(),
            ])
            .await?;
        assert_eq!(
            (diff.status.code(), said(&diff)),
            (Some(0), String::new()),
            "{diff}"
        );

        restricted_pods(lab, &kubectl).await
    };
    Box::pin(Lab::builder().run(scope)).await
}

/// The Pod is let into a namespace that asks for the `restricted` standard; with one line less
/// it is not.
async fn restricted_pods(lab: &Lab, kubectl: &Kubectl) -> Result<(), LabError> {
    let namespace = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "restricted",
            "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    });
    apply(lab, kubectl, &namespace.to_string(), &[]).await?;
    let manifests = Manifests {
        namespace: "restricted".to_owned(),
        ..Manifests::default()
    };
    let deployment = manifests.deployment(&credentials(&manifests));
    let deployment = serde_json::to_value(deployment).expect("must serialise");
    // A Deployment is let in anyway, with a warning where its Pods would not be.
    let output = apply(lab, kubectl, &deployment.to_string(), &[]).await?;
    assert_eq!(
        said(&output),
        "deployment.apps/my-authn serverside-applied\n"
    );

    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "taken".into();
    pod["metadata"]["namespace"] = "restricted".into();
    let output = apply(lab, kubectl, &pod.to_string(), &[]).await?;
    assert_eq!(said(&output), "pod/taken serverside-applied\n");

    pod["metadata"]["name"] = "refused".into();
    let context = &mut pod["spec"]["containers"][0]["securityContext"];
    context["capabilities"] = serde_json::json!({});
    let output = apply(lab, kubectl, &pod.to_string(), &[]).await?;
    assert_eq!(output.status.code(), Some(1), "{output}");
    assert!(
        output
            .stderr
            .contains("violates PodSecurity \"restricted:latest\": unrestricted capabilities"),
        "{output}"
    );
    Ok(())
}
