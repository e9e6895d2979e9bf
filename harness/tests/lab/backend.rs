//! The verbs that all backends have, on the one that `LAB_BACKEND` names.

use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    Backend, CONFIG_FILE_FLAG, ClusterError, K3sError, MockLab, MockLabError, fresh_token,
};

use crate::programs::wanted;
use crate::skipped;

/// What kubectl says to somebody with a fresh token: the apiserver remembers what it was told.
async fn said(lab: &MockLab) -> String {
    let kubectl = lab.kubectl_as(&fresh_token()).expect("must be made");
    kubectl.run(["get", "ns"]).await.expect("must run").stderr
}

#[tokio::test]
async fn a_file_is_written_and_flags_are_patched_on_every_backend() {
    let backend = Backend::from_env().expect("LAB_BACKEND must be a backend");
    backend.check().await.expect("must be usable");
    match backend.has_its_image(&wanted()).await {
        Ok(()) => {}
        Err(ClusterError::K3s(error @ K3sError::NoImage { .. })) => {
            let test = "backend::a_file_is_written_and_flags_are_patched_on_every_backend";
            return skipped::skip(test, &error.to_string());
        }
        Err(error) => panic!("must be known: {error}"),
    }
    let lab = backend.create(wanted(), Progress::hidden()).await;
    let ran = lab.expect("must start").run(async |lab| {
        the_verbs(lab).await;
        Ok::<_, MockLabError>(())
    });
    ran.await.expect("must end well");
}

async fn the_verbs(lab: &mut MockLab) {
    const RECOGNISED: &str = r#"User "mock" cannot list resource "namespaces""#;
    const UNAUTHORIZED: &str = "You must be logged in";
    let answer = said(lab).await;
    assert!(answer.contains(RECOGNISED), "{answer}");

    lab.set_flags(&[(CONFIG_FILE_FLAG, None)])
        .await
        .expect("must come back");
    let answer = said(lab).await;
    assert!(answer.contains(UNAUTHORIZED), "{answer}");

    let config = lab.webhook_config().expect("must be known");
    let file = lab.write("another.yml", &config).await;
    let file = file.expect("must be written");
    lab.set_flags(&[(CONFIG_FILE_FLAG, Some(&file))])
        .await
        .expect("must come back");
    let answer = said(lab).await;
    assert!(answer.contains(RECOGNISED), "{answer}");
}
