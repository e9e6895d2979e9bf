//! One cluster: what it says when something is wrong, wired and unwired.

use std::convert::Infallible;

use rstest::rstest;
use tokenlab_harness::{
    Cluster, ClusterError, DeploymentError, IMAGE_NAME, Image, Probe, Reach, ServiceAddress, Wire,
    Wired, WiringError, fresh_token, until,
};

use super::left::POLL;

const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

async fn manifest(lab: &Cluster) -> String {
    lab.in_node(&["cat", MANIFEST]).await.expect("must be read")
}

async fn says(lab: &Cluster) -> String {
    // A fresh token each time: the apiserver remembers what it was told of one.
    let kubectl = lab.kubectl_as(&fresh_token()).expect("must be written");
    kubectl.run(["get", "ns"]).await.expect("must run").stderr
}

#[rstest]
#[case::from_the_beginning(Wire::Create, ServiceAddress::Usual)]
#[case::patched_and_an_address_that_the_cluster_chose(Wire::Patch, ServiceAddress::Discovered)]
#[tokio::test]
async fn the_webhook_is_found_by_its_name(#[case] wire: Wire, #[case] address: ServiceAddress) {
    if !super::allowed("kind::cluster::the_webhook_is_found_by_its_name") {
        return;
    }
    let image = Image::builder().build().await.expect("must be built");
    let builder = Cluster::builder().wire(wire).reach(Reach::Dns);
    let plan = builder.service_address(address).plan().await;
    let ran = plan.expect("must be planned").run(async |lab| {
        lab.load(&image).await.expect("must be loaded");
        lab.deploy().await.expect("must answer");
        if wire == Wire::Patch {
            lab.wire().await.expect("must be wired");
        }
        let file = lab.in_node(&["cat", lab.plan().config_file()]).await;
        let file = file.expect("must be read");
        assert!(
            file.contains("server: https://my-authn.kube-system.svc/authenticate"),
            "{file}"
        );
        assert!(file.contains("client-certificate-data: "), "{file}");
        let said = says(lab).await;
        assert!(
            said.contains(r#"User "mock" cannot list resource"#),
            "{said}"
        );
        Ok::<_, ClusterError>(())
    });
    ran.await.expect("must start");
}

#[tokio::test]
async fn the_flag_is_set_kept_rolled_back_and_undone() {
    if !super::allowed("kind::cluster::the_flag_is_set_kept_rolled_back_and_undone") {
        return;
    }
    let image = Image::builder().build().await.expect("must be built");
    let plan = Cluster::builder().wire(Wire::Patch).plan().await;
    let ran = plan.expect("must be planned").run(async |lab| {
        images_that_do_not_work(lab).await;
        the_flag(lab, &image).await;
        Ok::<_, ClusterError>(())
    });
    ran.await.expect("must start");
}

/// A client without a certificate learns nothing; probes and metrics are on a port of their own.
async fn who_gets_in(lab: &Cluster) {
    let plan = lab.plan();
    let address = plan.manifests().cluster_ip.expect("must be known");
    let url = format!("https://{address}/authenticate");
    let nobody = lab.in_node(&["curl", "-sSk", "--data", "{}", &url]).await;
    let said = nobody.expect_err("must be refused").to_string();
    // With TLS 1.3 the refusal comes behind the handshake, while curl sends (55) or receives (56).
    let closed = ["curl: (55)", "curl: (56)"];
    assert!(closed.iter().any(|code| said.contains(code)), "{said}");

    let kubectl = lab.kubectl().expect("must be written");
    let pods = "app.kubernetes.io/instance=my-authn";
    let names = "jsonpath={.items[*].metadata.name}";
    #[rustfmt::skip]
    let names = ["get", "pods", "--namespace=kube-system", "--selector", pods, "--output", names];
    let counted = |line: &str| line.starts_with("tokenreview_requests_total{");
    // The Pod before this one may still be on its way out.
    let look = async || {
        let names = kubectl.run(names).await.expect("must run");
        let mut seen = names.to_string();
        for pod in names.stdout.split_whitespace() {
            let metrics = format!("/api/v1/namespaces/kube-system/pods/{pod}:8081/proxy/metrics");
            let metrics = kubectl.run(["get", "--raw", &metrics]).await;
            let metrics = metrics.expect("must run");
            if metrics.stdout.lines().any(counted) {
                return Probe::<_, Infallible>::Ready(());
            }
            seen = metrics.to_string();
        }
        Probe::NotYet(seen.into())
    };
    let told = until("a Pod tells what it counts", POLL, look).await;
    told.expect("it is a port of its own");
}

/// The manifest stays, so for the kubelet it is the same Pod, which has ended again and again.
async fn other_files(lab: &Cluster) {
    let began = lab.in_node(&["date", "+%F %T"]).await;
    let began = began.expect("must be told");
    let config = lab.in_node(&["cat", lab.plan().config_file()]).await;
    let config = config.expect("must be read");
    for turn in 0..4 {
        let other = format!("{config}\n# {turn}\n");
        let wired = lab.wire_by(&other).await.expect("must be wired");
        assert_eq!(wired, Wired::Changed);
    }
    let said = ["journalctl", "--unit=kubelet", "--since", began.trim()];
    let said = lab.in_node(&said).await.expect("must be read");
    assert!(said.contains("kube-apiserver"), "{said}");
    // Where it has started one by itself meanwhile, that may be held back once.
    let held_back = |line: &&str| line.contains("back-off 20s") && line.contains("kube-apiserver");
    assert_eq!(said.lines().find(held_back), None);
}

async fn images_that_do_not_work(lab: &Cluster) {
    let error = lab.deploy().await.expect_err("there is no image");
    assert!(
        matches!(
            &error,
            ClusterError::Deployment(DeploymentError::NoImage { image, said })
                if image == IMAGE_NAME && said.starts_with("ErrImageNeverPull")
        ),
        "{error}"
    );
    assert!(error.hint().is_some());

    // A program that does not know the webhook's command line.
    let kubectl = lab.plan().assets().kubectl.clone();
    let wrong = Image::builder().program(kubectl).build().await;
    lab.load(&wrong.expect("must be built"))
        .await
        .expect("must be loaded");
    let error = lab.deploy().await.expect_err("its program ends");
    assert!(
        matches!(
            &error,
            ClusterError::Deployment(DeploymentError::NotAvailable { seen, reasons })
                if seen.starts_with("CrashLoopBackOff")
                    && reasons.contains("log: error: unknown command")
        ),
        "{error}"
    );
}

async fn the_flag(lab: &Cluster, image: &Image) {
    lab.load(image).await.expect("must be loaded");
    lab.deploy().await.expect("must answer");
    // Again, with another certificate: the new Pod is waited for.
    lab.deploy().await.expect("must answer");
    let before = manifest(lab).await;
    assert!(says(lab).await.contains("You must be logged in"));

    let wired = lab.wire().await.expect("must be wired");
    assert_eq!(wired, Wired::Changed);
    let said = says(lab).await;
    assert!(
        said.contains(r#"User "mock" cannot list resource"#),
        "{said}"
    );
    who_gets_in(lab).await;
    let wired = lab.wire().await.expect("must be wired");
    assert_eq!(wired, Wired::Already);
    other_files(lab).await;

    let with_flag = manifest(lab).await;
    let error = lab.wire_by("this is no kubeconfig").await;
    let error = error.expect_err("must fail");
    assert!(
        matches!(&error, ClusterError::Wiring(WiringError::RolledBack { .. })),
        "{error}"
    );
    assert_eq!(manifest(lab).await, with_flag);
    let said = says(lab).await;
    assert!(
        said.contains(r#"User "mock" cannot list resource"#),
        "{said}"
    );

    lab.unwire().await.expect("must be unwired");
    assert_eq!(manifest(lab).await, before);
    assert!(says(lab).await.contains("You must be logged in"));
    let manifests = lab
        .in_node(&["ls", "-A", "/etc/kubernetes/manifests"])
        .await;
    assert_eq!(manifests.expect("must be listed").lines().count(), 4);
    let edited = with_flag.replace(
        "    - --authentication-token-webhook-config-file=",
        "    - --authentication-token-webhook-config-file\n    - ",
    );
    lab.write(MANIFEST, &edited).await.expect("must be written");
    let error = lab.wire().await.expect_err("must be refused");
    assert_eq!(
        error.to_string(),
        "the manifest has `--authentication-token-webhook-config-file` as a word alone, \
         without `=` and a value"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("by hand")));
    assert_eq!(manifest(lab).await, edited);
}
