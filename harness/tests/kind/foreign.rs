//! Other people's webhooks in a real cluster: an image of theirs, and a cluster that is theirs too.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    Cluster, ClusterError, ClusterWebhook, Existing, ExistingCluster, ExistingError,
    ForeignContainer, ForeignImage, Image, ImageName, Probe, SERVICE_NAME, Wire, until,
};
use tokenlab_webhook::Token;

use crate::left::{Demo, POLL};
use crate::peer;

const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","spec":{"token":"ZGVtbW8tcGFzc3dvcmQ="}}"#;

/// An image with the peer, whose program takes its arguments where the product's does.
async fn image(peer: &str, name: &str) -> Image {
    let name: ImageName = name.parse().expect("must be a name");
    let image = Image::builder().name(name).program(peer);
    image.build().await.expect("must be made")
}

fn container() -> ForeignContainer {
    let args = "--port={port} --cert={cert} --key={key}";
    ForeignContainer {
        args: Some(args.parse().expect("must be words")),
        port: 9443,
        certificates: "/tmp/k8s-webhook-server/serving-certs".into(),
        ..ForeignContainer::default()
    }
}

/// Whom the cluster's apiserver takes the tutorial's token for.
async fn whoami(lab: &Cluster) -> Result<Value, ClusterError> {
    let kubectl = lab.kubectl_as(&Token::from(peer::TOKEN))?;
    let output = kubectl.run(["auth", "whoami", "--output=json"]).await?;
    let said: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    Ok(said["status"]["userInfo"]["username"].clone())
}

#[tokio::test]
async fn an_image_that_docker_has_is_deployed_and_asked() {
    let test = "kind::foreign::an_image_that_docker_has_is_deployed_and_asked";
    if !super::allowed(test) {
        return;
    }
    let Some(peer) = peer::built(test).await else {
        return;
    };
    let name = format!("tokenlab.invalid/peer:test-{}", std::process::id());
    let image = image(peer.as_str(), &name).await;
    let folder = tempfile::tempdir().expect("must be made");
    let archive = folder.path().join("image.tar");
    std::fs::write(&archive, image.archive()).expect("must be written");
    let docker = |args: &[&str]| {
        let output = Command::new("docker").args(args).output();
        let output = output.expect("docker must be there");
        assert!(output.status.success(), "{output:?}");
    };
    docker(&["load", "--input", archive.to_str().expect("must be UTF-8")]);
    let foreign = ForeignImage::of_docker(image.name().clone());
    let webhook = ClusterWebhook::Image(foreign, container());
    let builder = Cluster::builder().wire(Wire::Create).webhook(webhook);
    let plan = builder.plan().await.expect("must be planned");
    let ran = plan.run(async |lab| {
        lab.load_webhook().await?;
        lab.deploy().await?;
        let answer = lab.review(REVIEW.to_owned()).await?;
        let answer: Value = serde_json::from_str(&answer.body).expect("must be JSON");
        assert_eq!(answer["status"]["user"]["username"], "gopher");
        assert_eq!(whoami(lab).await?, "gopher");
        Ok::<_, ClusterError>(())
    });
    let ran = ran.await;
    docker(&["image", "rm", &name]);
    ran.expect("must be asked");
}

#[tokio::test]
async fn an_image_that_docker_does_not_have_is_told_before_anything_is_made() {
    let test = "kind::foreign::an_image_that_docker_does_not_have_is_told_before_anything_is_made";
    if !super::allowed(test) {
        return;
    }
    let name = "tokenlab.invalid/nothing:v1".parse().expect("is a name");
    let webhook = ClusterWebhook::Image(ForeignImage::of_docker(name), container());
    let plan = Cluster::builder().webhook(webhook).plan().await;
    let error = plan.expect_err("must be refused");
    assert_eq!(
        error.to_string(),
        "Docker has no image `tokenlab.invalid/nothing:v1`"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("docker pull"))
    );
}

/// Kinds and names of what tokenlab made in the namespace.
async fn made(lab: &Cluster) -> Result<String, ClusterError> {
    let kinds = "pods,deployments,services,secrets,serviceaccounts";
    let args = [
        "get",
        kinds,
        "-n",
        "kube-system",
        "-l",
        "tokenlab",
        "-o",
        "name",
    ];
    Ok(lab.kubectl()?.run(args).await?.stdout)
}

#[tokio::test]
async fn a_cluster_that_exists_is_left_as_it_was() {
    let test = "kind::foreign::a_cluster_that_exists_is_left_as_it_was";
    if !super::allowed(test) {
        return;
    }
    let Some(peer) = peer::built(test).await else {
        return;
    };
    let image = image(peer.as_str(), "tokenlab.invalid/peer:v1").await;
    let plan = Cluster::builder().plan().await.expect("must be planned");
    let ran = plan.run(async |lab| {
        let cluster = ExistingCluster {
            kubeconfig: lab.kubectl()?.kubeconfig().to_owned(),
            context: None,
        };
        let deploy = async || {
            let foreign = (image.name().clone(), container());
            Existing::deploy(&cluster, Some(foreign), &Progress::hidden()).await
        };
        what_is_in_the_way_is_left_alone(lab, &cluster).await?;
        let error = Existing::deploy(&cluster, None, &Progress::hidden()).await;
        let error = error.expect_err("its image is not there");
        assert!(matches!(error, ExistingError::NoImage { .. }), "{error}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("kind load image-archive"), "{hint}");
        assert_eq!(made(lab).await?, "");

        lab.load(&image).await?;
        let existing = deploy().await.expect("must be deployed");
        let answer = existing.post(REVIEW.to_owned()).await;
        let answer = answer.expect("must answer").body;
        let answer: Value = serde_json::from_str(&answer).expect("must be JSON");
        assert_eq!(answer["status"]["user"]["username"], "gopher");
        let again = deploy().await.expect_err("it is there already");
        assert!(
            matches!(
                again,
                ExistingError::Taken {
                    deleted_by: Some(_),
                    ..
                }
            ),
            "{again}"
        );

        // No flag is touched; what its operator is told to set works.
        assert_eq!(whoami(lab).await?, Value::Null);
        let operator = existing.operator().await.expect("must be told");
        assert!(
            operator.config.contains(SERVICE_NAME),
            "{}",
            operator.config
        );
        assert!(operator.to_string().contains(lab.plan().config_file()));
        lab.wire_by(&operator.config).await?;
        // The Service may be there a moment later than the apiserver, which does not try again.
        let known = async || match whoami(lab).await {
            Ok(name) if name == "gopher" => Probe::<_, Infallible>::Ready(()),
            said => Probe::NotYet(format!("{said:?}").into()),
        };
        let known = until("the apiserver knows gopher", POLL, known).await;
        known.expect("its webhook does");
        lab.unwire().await?;
        existing.stop().await;
        assert_eq!(made(lab).await?, "");
        whose_owner_is_killed(lab, &cluster, &image).await
    });
    Box::pin(ran).await.expect("must start");
}

async fn what_is_in_the_way_is_left_alone(
    lab: &Cluster,
    cluster: &ExistingCluster,
) -> Result<(), ClusterError> {
    let kubectl = lab.kubectl()?;
    let name = ["serviceaccount", "my-authn", "--namespace=kube-system"];
    kubectl.run([&["create"], &name[..]].concat()).await?;
    let error = Existing::deploy(cluster, None, &Progress::hidden()).await;
    let error = error.expect_err("something is in the way");
    assert_eq!(
        error.to_string(),
        "in the namespace `kube-system` there is already: ServiceAccount my-authn"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("left alone")));
    let deleted = kubectl.run([&["delete"], &name[..]].concat()).await?;
    assert!(deleted.status.success(), "it must be there: {deleted}");
    Ok(())
}

async fn whose_owner_is_killed(
    lab: &Cluster,
    cluster: &ExistingCluster,
    image: &Image,
) -> Result<(), ClusterError> {
    let folder = tempfile::tempdir().expect("must be made");
    let name = image.name().to_string();
    let kubeconfig = &cluster.kubeconfig;
    // As a person types it: who deletes what was made works elsewhere.
    let demo = Command::new(env!("CARGO_BIN_EXE_tokenlab"))
        .current_dir(kubeconfig.parent().expect("must be in a folder"))
        .args(["demo", "--backend=existing", "--hold", "--kubeconfig"])
        .arg(kubeconfig.file_name().expect("must be a file"))
        .arg(format!("--webhook-image={name}"))
        .args(["--webhook-port=9443"])
        .arg("--webhook-args=--port={port} --cert={cert} --key={key}")
        .env("TMPDIR", folder.path())
        .env_remove("LAB_BACKEND")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut demo = Demo(demo.expect("must start"));
    let stdout = BufReader::new(demo.0.stdout.take().expect("must be a pipe"));
    let mut lines = stdout.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("It stays until Ctrl-C.")));
    assert_ne!(made(lab).await?, "");
    demo.0.kill().expect("must be sent");
    let look = async || match made(lab).await {
        Ok(made) if made.is_empty() => Probe::<_, Infallible>::Ready(()),
        Ok(made) => Probe::NotYet(made.into()),
        Err(error) => Probe::NotYet(error.to_string().into()),
    };
    until("nothing is left in the cluster", POLL, look)
        .await
        .expect("must go");
    Ok(())
}
