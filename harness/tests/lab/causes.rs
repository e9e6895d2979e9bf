//! Why a webhook is of no use, by the log of a real kube-apiserver that was told of it.

use std::time::Duration;

use axum::Router;
use tokenlab_harness::{
    CONFIG_FILE_FLAG, Cause, Fault, Flags, Kubeconfig, Lab, LabError, LogMark, Probe, SERVICE_NAME,
    Scripted, Unauthenticated, until,
};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Decision, Mock, Server, Tls, User, router};

use crate::home::{SOON, turn};
use crate::programs::wanted;

/// What a token that nobody has shown yet comes to.
async fn cause(lab: &Lab, scripted: &Scripted, decision: Decision) -> Unauthenticated {
    let log = lab.control_plane().logs().join("kube-apiserver.log");
    let log = LogMark::end_of(&log).expect("must be there");
    let kubectl = lab
        .kubectl_as(&scripted.token(decision))
        .expect("must be written");
    let output = kubectl.run(["get", "ns"]).await.expect("must run");
    assert!(output.stderr.contains("You must be logged in"), "{output}");
    let look = async || {
        let text = log.since().expect("must be read");
        let found = Unauthenticated::in_log(&text).pop();
        found.map_or(Probe::<_, LabError>::NotYet(text.into()), Probe::Ready)
    };
    until("the log tells why", SOON, look)
        .await
        .expect("must come true")
}

fn mock() -> Decision {
    Decision::authenticated(User::new("mock"))
}

#[tokio::test]
async fn each_is_named() {
    let _turn = turn(1).await;
    let scripted = Scripted::new();
    let builder = Lab::builder()
        .kubernetes(wanted())
        .authenticator(scripted.clone());
    builder
        .run(async |lab| {
            let of = async |lab: &Lab, decision| cause(lab, &scripted, decision).await.cause;
            assert_eq!(of(lab, Decision::Refused).await, Some(Cause::Refused));
            // The webhook's own trouble, in the words that an apiserver has for its own.
            let reason = "ldap: dial tcp 10.0.0.1:389: connect: connection refused";
            let decision = Decision::Undecided {
                reason: reason.to_owned(),
            };
            let undecided = cause(lab, &scripted, decision).await;
            assert_eq!(undecided.cause, None);
            assert!(undecided.error.contains(reason), "{undecided:?}");
            lab.webhook().set_fault(Some(Fault::OtherVersion))?;
            assert_eq!(of(lab, mock()).await, Some(Cause::OtherVersion));
            lab.webhook().set_fault(None)?;
            lab.webhook().down().await?;
            assert_eq!(of(lab, mock()).await, Some(Cause::NothingListens));
            lab.webhook().up().await?;

            for (name, kubeconfig, expected) in wrong(lab).await {
                let file = lab.folder().write(name, &kubeconfig.yaml())?;
                let set = |flags: &mut Flags| {
                    flags.set(CONFIG_FILE_FLAG, file);
                };
                lab.control_plane_mut().restart(set).await?;
                let found = cause(lab, &scripted, mock()).await;
                assert_eq!(found.cause, Some(expected), "{name}: {}", found.error);
            }
            Ok::<_, LabError>(())
        })
        .await
        .expect("must not fail");
}

/// Files that lead the apiserver astray.
async fn wrong(lab: &Lab) -> Vec<(&'static str, Kubeconfig, Cause)> {
    let right = || lab.webhook().kubeconfig();
    let authority = CertificateAuthority::new("lab").expect("must be made");
    let pem = authority.certificate_pem().to_owned();
    // A client's certificate is one without names.
    let nameless = authority.client(SERVICE_NAME, &[]).expect("must be made");
    let nameless = Tls::from_certificate(&nameless).expect("must be usable");
    let to = |port, kubeconfig| Kubeconfig {
        server: format!("https://127.0.0.1:{port}/authenticate"),
        ..kubeconfig
    };
    let serving = authority.serving(&[SERVICE_NAME]).expect("must be made");
    let trusting = || Kubeconfig {
        certificate_authority: pem.clone(),
        ..right()
    };
    vec![
        ("unknown-authority.yml", trusting(), Cause::UnknownAuthority),
        (
            "common-name.yml",
            to(serve(Some(nameless), router(Mock)).await, trusting()),
            Cause::CommonNameOnly,
        ),
        (
            "plain-http.yml",
            to(serve(None, router(Mock)).await, right()),
            Cause::PlainHttp,
        ),
        (
            "other-name.yml",
            Kubeconfig {
                tls_server_name: Some("other.svc".to_owned()),
                ..right()
            },
            Cause::OtherName,
        ),
        (
            "address-for-a-name.yml",
            Kubeconfig {
                tls_server_name: None,
                ..right()
            },
            Cause::OtherName,
        ),
        (
            "no-address.yml",
            Kubeconfig {
                server: "https://nowhere.invalid/authenticate".to_owned(),
                ..right()
            },
            Cause::NoAddress,
        ),
        (
            // The product's webhook says what is wrong with its path; most servers say nothing.
            "other-path.yml",
            to(
                serve(Tls::from_certificate(&serving).ok(), Router::new()).await,
                trusting(),
            ),
            Cause::OtherPath,
        ),
    ]
}

/// A webhook that runs as long as the test; its port.
async fn serve(tls: Option<Tls>, router: Router) -> u16 {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), tls).await;
    let server = server
        .expect("must listen")
        .with_handshake_limit(Duration::from_secs(5));
    let port = server.local_addr().port();
    tokio::spawn(server.serve(router, std::future::pending()));
    port
}
