//! The manifests for production, in a cluster: several Pods that ask for certificates, and a file
//! with tokens.

use std::convert::Infallible;

use tokenlab_harness::{
    Cluster, ClusterError, Image, Kubectl, Manifests, Probe, fresh_token, until,
};
use tokenlab_webhook::authenticators::token_file::Entry;
use tokenlab_webhook::manifests::SETTINGS;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Token, User};

use super::left::POLL;

async fn done(kubectl: &Kubectl, args: &[&str]) -> String {
    let output = kubectl.run(args).await.expect("must run");
    assert!(output.status.success(), "{args:?}: {output}");
    output.stdout
}

/// Whom the apiserver takes a token's bearer for.
async fn whoami(lab: &Cluster, token: &Token) -> String {
    let kubectl = lab.kubectl_as(token).expect("must be written");
    let output = kubectl.run(["auth", "whoami", "--output=json"]).await;
    output.expect("must run").to_string()
}

#[tokio::test]
async fn two_pods_know_who_is_in_the_token_file() {
    if !super::allowed("kind::production::two_pods_know_who_is_in_the_token_file") {
        return;
    }
    let image = Image::builder().build().await.expect("must be built");
    let plan = Cluster::builder().plan().await.expect("must be planned");
    let ran = plan.run(async |lab| {
        lab.load(&image).await.expect("must be loaded");
        let (token, entry) = Entry::generate(User::new("ann").with_group("dev"));
        let manifests = Manifests {
            cluster_ip: lab.plan().manifests().cluster_ip,
            replicas: 2,
            authenticator: vec![format!("--token-file={SETTINGS}/tokens.jsonl")],
            files: [("tokens.jsonl".to_owned(), format!("{entry}\n").into_bytes())].into(),
            ..Manifests::default()
        };
        let authority = CertificateAuthority::new("production").expect("must be made");
        let credentials = manifests.credentials(&authority).expect("must be made");
        let yaml = manifests.yaml(&credentials);
        let file = lab.plan().folder().write("production.yml", &yaml);
        let file = file.expect("must be written");

        let kubectl = lab.kubectl().expect("must be written");
        done(&kubectl, &["apply", "--server-side", "-f", file.as_str()]).await;
        #[rustfmt::skip]
        let rollout = [
            "rollout", "status", "deployment/my-authn", "--namespace=kube-system", "--timeout=2m",
        ];
        done(&kubectl, &rollout).await;
        #[rustfmt::skip]
        let allowed = [
            "get", "poddisruptionbudget", "my-authn", "--namespace=kube-system",
            "--output=jsonpath={.status.currentHealthy}",
        ];
        let healthy = async || {
            let healthy = done(&kubectl, &allowed).await;
            if healthy == "2" {
                Probe::<_, Infallible>::Ready(())
            } else {
                Probe::NotYet(healthy.into())
            }
        };
        let both = until("both Pods are healthy", POLL, healthy).await;
        both.expect("one node is enough for two");

        let client = manifests.client(&authority).expect("must be made");
        let config = manifests.webhook_config(authority.certificate_pem(), client);
        lab.wire_by(config.yaml()).await.expect("must be wired");
        // The Service may be there a moment later than the apiserver, which does not try again.
        let known = async || {
            let said = whoami(lab, &token).await;
            if said.contains(r#""username": "ann""#) && said.contains(r#""dev""#) {
                Probe::<_, Infallible>::Ready(())
            } else {
                Probe::NotYet(said.into())
            }
        };
        let known = until("the apiserver knows ann", POLL, known).await;
        known.expect("it is in the file");
        let said = whoami(lab, &fresh_token()).await;
        assert!(said.contains("You must be logged in"), "{said}");
        Ok::<_, ClusterError>(())
    });
    ran.await.expect("must start");
}
