//! The authenticator, and the mock, behind a real kube-apiserver.

use first_test::Users;
use tokenlab_harness::{Lab, LabError, SharedConfig, SharedLab};
use tokenlab_webhook::{Decision, Token, User};

/// The mock knows everybody as `mock`, who may do nothing.
#[tokio::test]
async fn mock_is_forbidden() -> Result<(), LabError> {
    Lab::builder()
        .run(async |lab| {
            let kubectl = lab.kubectl_as(&Token::from("any-token"))?;
            let output = kubectl.run(["get", "ns"]).await?;
            let forbidden = r#"User "mock" cannot list resource "namespaces""#;
            assert!(output.stderr.contains(forbidden), "{output}");
            Ok(())
        })
        .await
}

/// An authenticator of one's own: whom it knows is somebody, and nobody else gets in.
#[tokio::test]
async fn ann_is_known_and_a_stranger_is_not() -> Result<(), LabError> {
    let users = Users::new([("token-of-ann", "ann")]);
    Lab::builder()
        .authenticator(users)
        .run(async |lab| {
            let ann = lab.kubectl_as(&Token::from("token-of-ann"))?;
            let output = ann.run(["auth", "whoami"]).await?;
            assert!(output.stdout.contains("ann"), "{output}");
            assert!(output.stdout.contains("staff"), "{output}");

            let stranger = lab.kubectl_as(&Token::from("another-token"))?;
            let output = stranger.run(["auth", "whoami"]).await?;
            assert!(output.stderr.contains("(Unauthorized)"), "{output}");
            Ok(())
        })
        .await
}

/// The two below share one control plane: its webhook is scripted by token.
async fn shared() -> SharedLab {
    SharedLab::get(SharedConfig::default()).await
}

#[tokio::test]
async fn a_user_without_a_role_is_forbidden() -> Result<(), LabError> {
    shared()
        .await
        .run(async |lab| {
            let ann = Decision::authenticated(User::new("ann"));
            let token = lab.scripted().token(ann);
            let output = lab.kubectl_as(&token)?.run(["get", "secrets"]).await?;
            let forbidden = r#"User "ann" cannot list resource "secrets""#;
            assert!(output.stderr.contains(forbidden), "{output}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_refused_token_is_asked_about_once_and_remembered() -> Result<(), LabError> {
    shared()
        .await
        .run(async |lab| {
            let token = lab.scripted().token(Decision::Refused);
            let kubectl = lab.kubectl_as(&token)?;
            for _ in 0..2 {
                let output = kubectl.run(["auth", "whoami"]).await?;
                assert!(output.stderr.contains("(Unauthorized)"), "{output}");
            }
            assert_eq!(lab.scripted().calls(&token).len(), 1);
            Ok(())
        })
        .await
}
