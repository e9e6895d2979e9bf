//! Who a user is, by certificate and by token.

use tokenlab_harness::{Identity, LabError, fresh_token};
use tokenlab_webhook::pki::PkiError;

use super::{ann, scripted, shared};
use crate::filters::assert_text;
use crate::home::turn;

#[tokio::test]
async fn one_with_a_certificate_has_its_groups() -> Result<(), LabError> {
    let lab = shared().await;
    let bob: Result<_, PkiError> = lab
        .control_plane()
        .certificate_user("bob", &["blue", "green"]);
    let kubectl = lab.kubectl_with("bob", &bob?)?;
    let output = kubectl.run(["auth", "whoami"]).await?;
    assert_text!(output, @"
    exit code: 0
    ----- stdout -----
    ATTRIBUTE                                           VALUE
    Username                                            bob
    Groups                                              [blue green system:authenticated]
    Extra: authentication.kubernetes.io/credential-id   [X509SHA256=[digest]]
    ");
    Ok(())
}

/// A client certificate beats a token: beside one, the token would never be looked at.
#[tokio::test]
async fn one_with_a_token_has_no_certificate() -> Result<(), LabError> {
    let lab = shared().await;
    let token = fresh_token();
    let kubectl = lab.kubectl_as(&token)?;
    let file = std::fs::read_to_string(kubectl.kubeconfig()).expect("must be there");
    assert!(file.contains(token.expose()), "{file}");
    assert!(!file.contains("client-certificate"), "{file}");
    assert!(!file.contains("client-key"), "{file}");
    Ok(())
}

/// Readiness is asked for by the admin: nobody else would get an answer.
#[tokio::test]
async fn without_anonymous_requests_it_becomes_ready() -> Result<(), LabError> {
    let _turn = turn(1).await;
    let (builder, webhook) = scripted();
    let lab = builder.flag("anonymous-auth", "false").start().await?;
    let anonymous = lab.control_plane().user("nobody", Identity::Anonymous);
    let anonymous = tokenlab_harness::client(&anonymous)
        .await
        .expect("must be made");
    let readyz = http::Request::get("/readyz").body(Vec::new());
    let refused = anonymous.request_text(readyz.expect("must be valid")).await;
    let refused = refused.expect_err("must be refused");
    assert!(refused.to_string().contains("Unauthorized"), "{refused}");
    let token = webhook.token(ann());
    let known = lab.kubectl_as(&token)?.run(["auth", "whoami"]).await?;
    assert!(known.status.success(), "{known}");
    lab.stop().await;
    Ok(())
}
