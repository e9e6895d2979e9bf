//! A webhook that the lab starts: told where and with what, watched, and ended with it.

use std::convert::Infallible;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use serde_json::Value;
use tokenlab_harness::{Lab, LabError, Probe, WebhookCommand, WebhookPath, until};
use tokenlab_webhook::Token;
use tokenlab_webhook::pki::CertificateAuthority;

use super::{chain, peer};
use crate::filters::assert_text;
use crate::home::{Found, Home, SOON, turn};
use crate::owner::{Running, ended};
use crate::programs::wanted;

fn command(line: &str) -> WebhookCommand {
    WebhookCommand::new(line.parse().expect("must be a command line"))
}

fn listening(peer: &str) -> String {
    format!("'{peer}' --host 127.0.0.1 --port {{port}} --cert {{cert}} --key {{key}}")
}

/// The lab's webhook must not come up. No control plane is started.
async fn refused(command: WebhookCommand) -> LabError {
    let plan = Lab::builder()
        .kubernetes(wanted())
        .webhook(command)
        .plan()
        .await;
    let error = plan.expect_err("must be refused");
    // The run folder stays for its log, which the error names.
    let text = error.to_string();
    let log = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("log: "));
    if let Some(log) = log {
        let folder = log.strip_suffix("/logs/webhook.log");
        std::fs::remove_dir_all(folder.expect("must be a lab's log")).expect("must be there");
    }
    error
}

#[tokio::test]
async fn one_of_controller_runtimes_is_asked() {
    let Some(peer) = peer::built("webhooks::command::one_of_controller_runtimes_is_asked").await
    else {
        return;
    };
    let _turn = turn(1).await;
    let lab = Lab::builder()
        .kubernetes(wanted())
        .webhook(command(&listening(peer.as_str())));
    let ran = lab.run(async |lab| {
        let whoami = async |token: &str| -> Result<_, LabError> {
            let kubectl = lab.kubectl_as(&Token::from(token))?;
            Ok(kubectl.run(["auth", "whoami", "--output=json"]).await?)
        };
        let known = whoami(peer::TOKEN).await?;
        let known: Value = serde_json::from_str(&known.stdout).expect("must be known");
        assert_eq!(known["status"]["userInfo"]["username"], "gopher");
        let other = whoami("another").await?;
        assert!(other.stderr.contains("(Unauthorized)"), "{other}");
        Ok::<_, LabError>(())
    });
    ran.await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
}

#[tokio::test]
async fn its_story() {
    let Some(peer) = peer::built("webhooks::command::its_story").await else {
        return;
    };
    let home = Home::new().await;
    let line = listening(peer.as_str());
    let args = ["demo", "--webhook-command", &line];
    let output = ended(&mut home.tokenlab(&args).await).await;
    assert!(output.status.success(), "{output}");
    assert_text!(output.stdout, @r#"
    ✓ 1 the webhook's command runs, and answers at https://127.0.0.1:[port]/authenticate ([time])
    ✓ 2 a TokenReview with the token posted to it: authenticated, user "gopher", uid "1", groups "gophers" ([time])
        {"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","status":{"authenticated":true,"user":{"groups":["gophers"],"uid":"1","username":"gopher"}}}
    ✓ 3 webhook-config.yml tells the apiserver where, by which CA and by which name ([time])
    ✓ 4 kube-apiserver [version] is ready, with --authentication-token-webhook-config-file=[run folder]/webhook-config.yml ([time])
    ✓ 5 kubectl auth whoami, with the token: authenticated, user "gopher", uid "1", groups "gophers" ([time])
    ✓ 6 kubectl get ns ([time])
        Error from server (Forbidden): namespaces is forbidden: User "gopher" cannot list resource "namespaces" in API group "" at the cluster scope

    The webhook and the apiserver agree: the token is "gopher"'s. What that user may do is a
    matter of roles: Forbidden (403) means known, and not allowed.
    [time] in all
    "#);
    let token = home.file("token");
    std::fs::write(&token, "nobody's\n").expect("must be written");
    let args = [&args[..], &["--json", "--token-file", token.as_str()]].concat();
    let output = ended(&mut home.tokenlab(&args).await).await;
    let report: Value = serde_json::from_str(&output.stdout).expect("must be JSON");
    assert_eq!(report["webhook"]["decision"], "refused");
    assert_eq!(report["apiserver"]["decision"], "refused");
    assert_eq!(report["agree"], true);
    assert!(!output.to_string().contains("nobody's"), "{output}");
    home.nothing_left().await;
}

#[tokio::test]
async fn that_dies_at_its_start() {
    let home = Home::new().await;
    let line = "sh -c 'echo \"$TOKENLAB_WEBHOOK_ADDRESS is not for me\" >&2; exit 7'";
    let output = ended(&mut home.tokenlab(&["demo", "--webhook-command", line]).await).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    let error = output.stderr.find("error: ").map(|at| &output.stderr[at..]);
    let error = error.expect("must be told");
    assert!(
        error.starts_with("error: the webhook's command ended early: exit status: 7\n"),
        "{error}"
    );
    assert_text!(error.lines().nth(1).unwrap_or_default(), @"    127.0.0.1:[port] is not for me");
    home.only_the_folder_left(&output.stderr).await;
}

#[tokio::test]
async fn that_never_listens() {
    let _turn = turn(1).await;
    let command = command("sleep 1000").patience(Duration::from_secs(2));
    let error = refused(command).await;
    let text = chain(&error);
    assert!(
        text.starts_with("the webhook's command was not ready after "),
        "{text}"
    );
    assert!(text.contains("Connection refused"), "{text}");
    assert!(error.hint().is_some_and(|hint| hint.contains("{address}")));
}

#[rstest]
#[case::that_speaks_no_tls("--plain-http", "it does not speak TLS", "must serve TLS")]
#[case::with_a_certificate_of_its_own(
    "--cert={own}/tls.crt --key={own}/tls.key",
    "its certificate is of another authority",
    "the certificate in `{cert}`"
)]
#[case::that_listens_for_another_path(
    "--path=/authn",
    "answers a TokenReview posted to `/authenticate` with 404",
    "--webhook-path"
)]
#[tokio::test]
async fn that_does_not_do_as_it_is_told(
    #[case] flag: &str,
    #[case] said: &str,
    #[case] advice: &str,
) {
    let test = "webhooks::command::that_does_not_do_as_it_is_told";
    let Some(peer) = peer::built(test).await else {
        return;
    };
    let _turn = turn(1).await;
    let own = tempfile::tempdir().expect("must be made");
    let authority = CertificateAuthority::new("its own").expect("must be made");
    let certificate = authority.serving(&["127.0.0.1"]).expect("must be made");
    let file = |name, text| std::fs::write(own.path().join(name), text).expect("must be written");
    file("tls.crt", certificate.certificate_pem());
    file("tls.key", certificate.key_pem());
    let flag = flag.replace("{own}", own.path().to_str().expect("must be UTF-8"));
    let error = refused(command(&format!("{} {flag}", listening(peer.as_str())))).await;
    let text = chain(&error);
    assert!(text.contains(said), "{text}");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains(advice), "{hint}");
}

#[tokio::test]
async fn at_a_path_of_its_own() {
    let Some(peer) = peer::built("webhooks::command::at_a_path_of_its_own").await else {
        return;
    };
    let _turn = turn(1).await;
    let path: WebhookPath = "/authn/v1".parse().expect("must be a path");
    let line = format!("{} --path=/authn/v1", listening(peer.as_str()));
    let lab = Lab::builder().kubernetes(wanted());
    let plan = lab.webhook(command(&line).path(path)).plan().await;
    let url = plan.expect("must answer").webhook().url();
    assert!(url.ends_with("/authn/v1"), "{url}");
}

/// The peer among the processes of a home.
async fn works(home: &Home) -> Found {
    let look = async || {
        let mut all = home.processes();
        // The kernel keeps fifteen characters of a name.
        match all.iter().position(|it| it.name == "token-webhook-p") {
            Some(found) => Probe::<_, Infallible>::Ready(all.swap_remove(found)),
            None => Probe::NotYet(format!("{all:?}").into()),
        }
    };
    until("the peer works", SOON, look).await.expect("must run")
}

async fn holding(home: &Home, peer: &str) -> Running {
    let line = listening(peer);
    let args = ["demo", "--hold", "--webhook-command", &line];
    let mut owner = Running::start(home.tokenlab(&args).await);
    owner.says("The lab runs until Ctrl-C.").await;
    owner
}

#[tokio::test]
async fn that_dies_later() {
    let Some(peer) = peer::built("webhooks::command::that_dies_later").await else {
        return;
    };
    let home = Home::new().await;
    let owner = holding(&home, peer.as_str()).await;
    let pid = works(&home).await.pid;
    let pid = Pid::from_raw(pid.try_into().expect("must be a process number"));
    kill(pid, Signal::SIGKILL).expect("must be sent");
    let output = owner.ended().await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    let error = "error: the webhook's command ended early: signal: 9 (SIGKILL)\n    ";
    assert!(output.stderr.contains(error), "{output}");
    // The end of its log.
    assert!(output.stderr.contains("Serving webhook server"), "{output}");
    home.only_evidence_left(&output.stderr).await;
}

#[rstest]
#[case::interrupted(Signal::SIGINT)]
#[case::killed(Signal::SIGKILL)]
#[tokio::test]
async fn whose_owner_is_gone(#[case] signal: Signal) {
    let Some(peer) = peer::built("webhooks::command::whose_owner_is_gone").await else {
        return;
    };
    let home = Home::new().await;
    let owner = holding(&home, peer.as_str()).await;
    works(&home).await;
    owner.signal(signal);
    owner.ended().await;
    home.nothing_left().await;
}
