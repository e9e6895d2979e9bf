//! The journal of a real control plane, and the webhook's switches as the apiserver sees them.

use std::time::Duration;

use tokenlab_harness::journal::{Events, Next, Outcome, ReviewEvent, Source};
use tokenlab_harness::{
    Fault, Identity, Kubeconfig, Kubectl, Lab, LabError, Scripted, fresh_token,
};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Decision, Token, User};

use crate::home::turn;

/// One request, and no discovery before it.
const REQUEST: [&str; 3] = ["get", "--raw", "/api/v1/namespaces"];
const UNAUTHORIZED: &str = "You must be logged in to the server";

async fn next(events: &mut Events) -> ReviewEvent {
    let next = tokio::time::timeout(Duration::from_secs(30), events.next());
    match next.await.expect("an event must come") {
        Some(Next::Event(event)) => event,
        other => panic!("an event must come, not {other:?}"),
    }
}

async fn ask(kubectl: &Kubectl) -> Result<String, LabError> {
    Ok(kubectl.run(REQUEST).await?.stderr)
}

fn ann() -> Decision {
    Decision::authenticated(User::new("ann").with_uid("7").with_group("g"))
}

fn is_ann(event: &ReviewEvent) -> bool {
    matches!(&event.outcome, Outcome::Authenticated { user, uid, .. } if user == "ann" && uid == "7")
}

#[tokio::test]
async fn asked_and_remembered() -> Result<(), LabError> {
    let _turn = turn(1).await;
    let webhook = Scripted::new();
    let builder = Lab::builder().authenticator(webhook.clone()).audit(true);
    let scope = async |lab: &mut Lab| -> Result<(), LabError> {
        let journal = lab.webhook().journal();
        let mut events = journal.follow();
        let (good, bad) = (webhook.token(ann()), fresh_token());

        let kubectl = lab.kubectl_as(&good)?;
        ask(&kubectl).await?;
        let event = next(&mut events).await;
        assert!(event.source == Source::Asked && is_ann(&event), "{event:?}");
        assert_eq!(event.token, Some(journal.hash(&good)));
        assert_eq!(event.audiences, ["https://kubernetes.default.svc"]);

        // A certificate for the same name is none of the webhook's business.
        let same_name = lab.control_plane().certificate_user("ann", &[])?;
        ask(&lab.kubectl_with("certificate", &same_name)?).await?;

        ask(&kubectl).await?;
        let event = next(&mut events).await;
        assert!(
            event.source == Source::Cached && is_ann(&event),
            "{event:?}"
        );
        assert_eq!(event.token, Some(journal.hash(&good)));

        let kubectl = lab.kubectl_as(&bad)?;
        for source in [Source::Asked, Source::Cached] {
            let answer = ask(&kubectl).await?;
            assert!(answer.contains(UNAUTHORIZED), "{answer}");
            let event = next(&mut events).await;
            assert_eq!((event.source, &event.outcome), (source, &Outcome::Refused));
            assert_eq!(event.token, Some(journal.hash(&bad)));
        }

        // One that the apiserver does not trust is a 401 too, and no token's.
        let foreign = CertificateAuthority::new("foreign").expect("must be made");
        let foreign = foreign.client("ann", &[]).expect("must be made");
        let foreign = Kubeconfig {
            identity: Identity::ClientCertificate {
                certificate: foreign.certificate_pem().to_owned(),
                key: foreign.key_pem().to_owned(),
            },
            ..same_name
        };
        let answer = ask(&lab.kubectl_with("foreign", &foreign)?).await?;
        assert!(answer.contains(UNAUTHORIZED), "{answer}");
        let event = next(&mut events).await;
        assert_eq!((event.source, event.token), (Source::NoCall, None));
        nothing_has(lab, &[&good, &bad]);

        // Where it writes now is looked at, and what stood there before is nobody's request.
        let other = lab.folder().file("logs/other.log");
        std::fs::copy(lab.folder().file("logs/audit.log"), &other).expect("must be copied");
        let mut events = lab.webhook().journal().follow();
        lab.set_flags(&[("audit-log-path", Some(other.as_str()))])
            .await?;
        for source in [Source::Asked, Source::Cached] {
            ask(&lab.kubectl_as(&good)?).await?;
            let event = next(&mut events).await;
            assert!(event.source == source && is_ann(&event), "{event:?}");
        }
        Ok(())
    };
    builder.run(scope).await
}

#[tokio::test]
async fn the_switches_as_the_apiserver_sees_them() -> Result<(), LabError> {
    let _turn = turn(1).await;
    let webhook = Scripted::new();
    let builder = Lab::builder().authenticator(webhook.clone()).audit(true);
    let scope = async |lab: &mut Lab| -> Result<(), LabError> {
        let mut events = lab.webhook().journal().follow();

        lab.webhook().down().await?;
        let answer = ask(&lab.kubectl_as(&webhook.token(ann()))?).await?;
        assert!(answer.contains(UNAUTHORIZED), "{answer}");
        let event = next(&mut events).await;
        assert_eq!(
            (event.source, event.outcome),
            (Source::NoCall, Outcome::Refused)
        );
        let log = lab.control_plane().logs().join("kube-apiserver.log");
        let log = std::fs::read_to_string(log).expect("must be there");
        assert!(log.contains("connect: connection refused"), "{log}");

        lab.webhook().up().await?;
        lab.webhook().set_latency(Duration::from_millis(200))?;
        let answer = ask(&lab.kubectl_as(&webhook.token(ann()))?).await?;
        assert!(answer.contains(r#"User "ann" cannot list"#), "{answer}");
        let event = next(&mut events).await;
        assert!(event.source == Source::Asked && is_ann(&event), "{event:?}");
        assert!(
            event.latency >= Some(Duration::from_millis(200)),
            "{event:?}"
        );

        lab.webhook().set_latency(Duration::ZERO)?;
        lab.webhook().set_fault(Some(Fault::OtherVersion))?;
        let kubectl = lab.kubectl_as(&webhook.token(ann()))?;
        // What the apiserver cannot read it does not remember either.
        for _ in 0..2 {
            let answer = ask(&kubectl).await?;
            assert!(answer.contains(UNAUTHORIZED), "{answer}");
            let event = next(&mut events).await;
            assert_eq!(
                (event.source, event.fault),
                (Source::Asked, Some(Fault::OtherVersion))
            );
        }
        lab.webhook().set_fault(None)?;
        let answer = ask(&kubectl).await?;
        assert!(answer.contains(r#"User "ann" cannot list"#), "{answer}");
        Ok(())
    };
    builder.run(scope).await
}

/// That the tokens are in no event and in no file, but for the kubeconfig that kubectl gets.
fn nothing_has(lab: &Lab, tokens: &[&Token]) {
    let events = lab.webhook().journal().events();
    let json = serde_json::to_string(&events).expect("must become JSON");
    let mut places = vec![("the journal".to_owned(), format!("{json} {events:?}"))];
    let mut audited = false;
    for file in [
        "logs/audit.log",
        "logs/kube-apiserver.log",
        "logs/etcd.log",
        "command-lines",
    ] {
        let bytes = std::fs::read(lab.folder().file(file)).expect("must be there");
        audited |= file.ends_with("audit.log") && !bytes.is_empty();
        places.push((
            file.to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
    }
    assert!(audited, "the audit log must have lines");
    for (place, text) in places {
        for token in tokens {
            assert!(!text.contains(token.expose()), "a token is in {place}");
        }
    }
}
