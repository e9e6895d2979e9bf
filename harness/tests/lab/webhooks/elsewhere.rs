//! A webhook that runs elsewhere: trusted by its authority alone, and left alone.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::post;
use camino::Utf8Path;
use rstest::rstest;
use serde_json::Value;
use tokenlab_harness::{Elsewhere, Lab, LabError, Port, WebhookUrl};
use tokenlab_webhook::pki::{Certificate, CertificateAuthority};
use tokenlab_webhook::{BoxAuthenticator, Mock, Server, Tls, Token, router};

use super::serving::Serving;
use super::{chain, peer};
use crate::home::{Home, turn};
use crate::owner::ended;
use crate::programs::wanted;

fn authority() -> CertificateAuthority {
    CertificateAuthority::new("somebody").expect("must be made")
}

fn url(address: SocketAddr, path: &str) -> WebhookUrl {
    let url = format!("https://{address}{path}");
    url.parse().expect("must be a URL")
}

/// The mock, somewhere, with a certificate of this authority for this name.
async fn mock(authority: &CertificateAuthority, name: &str) -> SocketAddr {
    serve(authority, name, router(BoxAuthenticator::new(Mock))).await
}

async fn serve(authority: &CertificateAuthority, name: &str, router: Router) -> SocketAddr {
    let certificate = authority.serving(&[name]).expect("must be made");
    let tls = Tls::from_certificate(&certificate).expect("must be usable");
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(anywhere, Some(tls)).await;
    let server = server.expect("must listen");
    let address = server.local_addr();
    tokio::spawn(server.serve(router, std::future::pending()));
    address
}

fn trusted(url: &WebhookUrl, authority: &CertificateAuthority) -> Elsewhere {
    Elsewhere::new(url, authority.certificate_pem()).expect("must be usable")
}

/// What is wrong is said before anything is started.
async fn refused(webhook: Elsewhere) -> (String, String) {
    let lab = Lab::builder().kubernetes(wanted()).webhook(webhook);
    let error = lab.plan().await.expect_err("must be refused");
    (chain(&error), error.hint().unwrap_or_default())
}

#[tokio::test]
async fn that_wants_its_callers_certificate() {
    let name = "webhooks::elsewhere::that_wants_its_callers_certificate";
    let Some(program) = peer::built(name).await else {
        return;
    };
    let _turn = turn(1).await;
    let folder = tempfile::tempdir().expect("must be made");
    let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
    let authority = authority();
    let peer = Serving::start(&program, folder, &authority).await;
    let webhook = || trusted(&url(peer.address, "/authenticate"), &authority);

    let (text, hint) = refused(webhook()).await;
    let said = "it does not take its caller's certificate, or wants one";
    assert!(text.contains(said), "{text}");
    assert!(hint.contains("--client-cert"), "{hint}");

    let with = |certificate: &Certificate| {
        let webhook = webhook();
        let (certificate, key) = (certificate.certificate_pem(), certificate.key_pem());
        webhook
            .client_certificate(certificate, key)
            .expect("must match")
    };
    let other = self::authority().client("apiserver", &[]);
    let (text, _) = refused(with(&other.expect("must be made"))).await;
    assert!(text.contains(said), "{text}");

    let own = authority.client("apiserver", &[]).expect("must be made");
    let lab = Lab::builder().kubernetes(wanted()).webhook(with(&own));
    let ran = lab.run(async |lab| {
        let kubectl = lab.kubectl_as(&Token::from(peer::TOKEN))?;
        let known = kubectl.run(["auth", "whoami", "--output=json"]).await?;
        let known: Value = serde_json::from_str(&known.stdout).expect("must be known");
        assert_eq!(known["status"]["userInfo"]["username"], "gopher");
        Ok::<_, LabError>(())
    });
    ran.await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
}

#[tokio::test]
async fn of_another_authority() {
    let _turn = turn(1).await;
    let address = mock(&authority(), "127.0.0.1").await;
    let (text, hint) = refused(trusted(&url(address, "/authenticate"), &authority())).await;
    assert!(
        text.contains("its certificate is of another authority than the one that was given"),
        "{text}"
    );
    assert!(hint.contains("--ca"), "{hint}");
}

#[rstest]
#[case::the_urls(None, false)]
#[case::that_it_has(Some("authn.example"), true)]
#[case::that_it_does_not_have(Some("other.example"), false)]
#[tokio::test]
async fn called_by_a_name(#[case] name: Option<&str>, #[case] fits: bool) {
    let _turn = turn(1).await;
    let authority = authority();
    let address = mock(&authority, "authn.example").await;
    let mut webhook = trusted(&url(address, "/authenticate"), &authority);
    if let Some(name) = name {
        webhook = webhook.server_name(name).expect("must be a name");
    }
    if fits {
        let lab = Lab::builder().kubernetes(wanted()).webhook(webhook);
        let plan = lab.plan().await.expect("must answer");
        assert!(!plan.webhook().is_served_here());
        return;
    }
    let (text, hint) = refused(webhook).await;
    assert!(text.contains("does not have the name"), "{text}");
    assert!(hint.contains("--server-name"), "{hint}");
}

#[tokio::test]
async fn where_there_is_none() {
    let _turn = turn(1).await;
    let authority = authority();
    let address = mock(&authority, "127.0.0.1").await;
    let (text, hint) = refused(trusted(&url(address, "/nowhere"), &authority)).await;
    assert!(text.contains("answers a TokenReview with 404"), "{text}");
    assert!(hint.contains("/authenticate"), "{hint}");
}

#[tokio::test]
async fn that_is_not_there_yet() {
    let _turn = turn(1).await;
    let authority = authority();
    let port = Port::reserve().expect("must be reserved");
    let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let webhook = trusted(&url(address, "/authenticate"), &authority);
    let (text, hint) = refused(webhook.clone()).await;
    assert!(text.contains("Connection refused"), "{text}");
    assert!(hint.contains("--no-probe"), "{hint}");
    let lab = Lab::builder().kubernetes(wanted());
    let plan = lab.webhook(webhook.probe(false)).plan().await;
    let mut plan = plan.expect("must not be asked");
    let file = plan.flags().get("authentication-token-webhook-config-file");
    assert_eq!(file.len(), 1);
}

#[tokio::test]
async fn that_never_comes() {
    let home = Home::new().await;
    let ca = home.file("ca.crt");
    std::fs::write(&ca, authority().certificate_pem()).expect("must be written");
    let port = Port::reserve().expect("must be reserved");
    let url = format!("https://127.0.0.1:{}/authenticate", port.number());
    let args = [
        "demo",
        "--no-probe",
        "--webhook-url",
        &url,
        "--ca",
        ca.as_str(),
    ];
    let output = ended(&mut home.tokenlab(&args).await).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    let step = "✗ 2 a TokenReview with the token posted to it: no usable answer: ";
    assert!(output.stdout.contains(step), "{output}");
    let error = "error: the webhook gave no answer that an apiserver can use: ";
    assert!(output.stderr.contains(error), "{output}");
    home.nothing_left().await;
}

/// To the apiserver that is nobody's token, and it does not say why.
#[tokio::test]
async fn that_is_for_other_audiences() {
    let home = Home::new().await;
    let authority = authority();
    let ca = home.file("ca.crt");
    std::fs::write(&ca, authority.certificate_pem()).expect("must be written");
    let answer = r#"{"apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview",
        "status": {"authenticated": true, "user": {"username": "ann"}, "audiences": ["else"]}}"#;
    let routes = Router::new().route("/authenticate", post(answer));
    let address = serve(&authority, "127.0.0.1", routes).await;
    let url = format!("https://{address}/authenticate");
    let args = ["demo", "--webhook-url", &url, "--ca", ca.as_str()];
    let output = ended(&mut home.tokenlab(&args).await).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    for said in [
        "error: the webhook and the apiserver do not agree",
        "401 Unauthorized [other-audiences]: the webhook named audiences that are none of kube-apiserver's",
        "what to do: have the webhook answer with one of the audiences",
    ] {
        assert!(output.stderr.contains(said), "{output}");
    }
    home.no_process().await;
}

#[tokio::test]
async fn that_cannot_be_changed() {
    let _turn = turn(1).await;
    let authority = authority();
    let address = mock(&authority, "127.0.0.1").await;
    let webhook = trusted(&url(address, "/authenticate"), &authority);
    let lab = Lab::builder().kubernetes(wanted()).webhook(webhook);
    let plan = lab.plan().await.expect("must answer");
    let error = plan.webhook().down().await.expect_err("is not the lab's");
    assert_eq!(
        error.to_string(),
        format!(
            "the webhook at `https://{address}/authenticate` is not served by the lab: it cannot be taken down"
        )
    );
}
