//! A named lab in a cluster that is somebody else's: one of kind, where `LAB_BACKEND=kind` allows
//! containers.

use std::convert::Infallible;
use std::time::Duration;

use nix::sys::signal::Signal;
use rstest::rstest;
use tokenlab_harness::named::Status;
use tokenlab_harness::{
    CONFIG_FILE_FLAG, Cluster, ClusterError, Image, ImageName, Output, Poll, Probe, until,
};
use tokenlab_webhook::Token;
use tokio::process::Command;

use crate::home::Home;
use crate::owner::{Running, ended};
use crate::peer;
use crate::programs;
use crate::skipped::skip;
use crate::support::{alone, entries, nothing_left, signal};

/// As a person types it: the file lies in the working folder.
const UP: &[&str] = &[
    "up",
    "theirs",
    "--backend=existing",
    "--kubeconfig=theirs.kubeconfig",
];

const IMAGE: &str = "tokenlab.invalid/peer:v1";

/// A kubeconfig of a cluster that nobody is at home in.
const NOBODY: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}"#;

/// A Pod starts, or is taken away, on a busy machine.
const LATER: Poll = Poll {
    every: Duration::from_millis(200),
    within: Duration::from_secs(120),
};

/// The program, where the kubeconfig lies. The user's own kubectl is taken, not the lab's.
async fn there(home: &Home, args: &[&str]) -> Command {
    let kubectl = &programs::real().await.kubectl;
    let folder = kubectl.parent().expect("must be a path");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = home.tokenlab(args).await;
    command
        .env("PATH", format!("{folder}:{path}"))
        .current_dir(home.file(""));
    command
}

/// Whose cluster it is, and who has a lab in it.
struct Theirs<'a> {
    cluster: &'a Cluster,
    home: &'a Home,
}

impl Theirs<'_> {
    async fn command(&self, args: &[&str]) -> Command {
        let mut command = there(self.home, args).await;
        // Nothing of it needs Docker.
        command.env("DOCKER_HOST", "unix:///nowhere");
        command
    }

    async fn tokenlab(&self, args: &[&str]) -> Output {
        let output = self.command(args).await.output().await;
        Output::from(output.expect("must run"))
    }

    async fn done(&self, args: &[&str]) -> String {
        let output = self.tokenlab(args).await;
        assert!(output.status.success(), "{args:?}: {output}");
        output.stdout
    }

    /// The peer, told to listen on this port; it is asked on another when that is wrong.
    async fn up(&self, port: &str, more: &[&str]) -> Command {
        let args = ["--webhook-image", IMAGE, "--webhook-port=9443"];
        let words = format!("--webhook-args=--port={port} --cert={{cert}} --key={{key}}");
        let args = [UP, &args, &[&words], more].concat();
        self.command(&args).await
    }

    async fn is_up(&self) -> Status {
        let up = ended(&mut self.up("{port}", &["--json"]).await).await;
        assert_eq!(up.status.code(), Some(0), "{up}");
        serde_json::from_str(&up.stdout).expect("must be a status")
    }

    /// Kinds and names of what tokenlab made there.
    async fn made(&self) -> Result<String, ClusterError> {
        let kinds = "deployments,services,secrets,serviceaccounts";
        let args = ["get", kinds, "-n=kube-system", "-l=tokenlab", "-o=name"];
        Ok(self.cluster.kubectl()?.run(args).await?.stdout)
    }

    async fn nothing_left(&self) {
        let look = async || match self.left().await {
            Ok(left) if left.is_empty() => Probe::<_, Infallible>::Ready(()),
            Ok(left) => Probe::NotYet(left.into()),
            Err(error) => Probe::NotYet(error.to_string().into()),
        };
        until("nothing is left", LATER, look)
            .await
            .expect("must come true");
    }

    /// In the cluster, in `TMPDIR`, as a name, and of processes.
    async fn left(&self) -> Result<String, ClusterError> {
        let folders = self.home.entries();
        let names = entries(self.home);
        let processes = self.home.processes();
        let made = self.made().await?;
        if made.is_empty() && folders.is_empty() && names.is_empty() && processes.is_empty() {
            return Ok(String::new());
        }
        Ok(format!("{made}{folders:?}{names:?}{processes:?}"))
    }
}

/// Where there is no cluster, what is wrong is told, and nothing is left.
#[rstest]
#[case::no_file(None, "", "theirs.kubeconfig` cannot be read: No such file")]
#[case::no_context(Some("{}"), "", "the kubeconfig cannot be used: ")]
#[case::another_context(Some(NOBODY), "--context=other", "the kubeconfig cannot be used: ")]
#[case::nobody_answers(Some(NOBODY), "", "the cluster does not answer: ")]
#[case::a_flag(
    Some(NOBODY),
    "--flag=v=2",
    "`--flag` is for a cluster that is made here"
)]
#[tokio::test]
async fn it_is_refused(#[case] kubeconfig: Option<&str>, #[case] flag: &str, #[case] said: &str) {
    let home = Home::new().await;
    if let Some(text) = kubeconfig {
        std::fs::write(home.file("theirs.kubeconfig"), text).expect("must be written");
    }
    let mut command = there(&home, UP).await;
    let up = ended(command.args(Some(flag).filter(|flag| !flag.is_empty()))).await;
    let code = if flag.starts_with("--flag") { 2 } else { 1 };
    assert_eq!(up.status.code(), Some(code), "{up}");
    assert!(up.stderr.contains(said), "{up}");
    nothing_left(&home).await;
}

#[tokio::test]
async fn it_holds_the_webhook_and_leaves_nothing() {
    let test = "cluster::existing::it_holds_the_webhook_and_leaves_nothing";
    if std::env::var("LAB_BACKEND").is_ok_and(|backend| backend == "kind") {
        let Some(peer) = peer::built(test).await else {
            return;
        };
        let home = alone().await;
        let name: ImageName = IMAGE.parse().expect("must be a name");
        let image = Image::builder().name(name).program(peer).build().await;
        let image = image.expect("must be made");
        let plan = Cluster::builder().plan().await.expect("must be planned");
        let ran = plan.run(async |cluster| {
            cluster.load(&image).await?;
            let kubectl = cluster.kubectl()?;
            let yaml = std::fs::read_to_string(kubectl.kubeconfig()).expect("must be read");
            let kubeconfig = home.file("theirs.kubeconfig");
            std::fs::write(&kubeconfig, yaml).expect("must be written");
            let theirs = Theirs {
                cluster,
                home: &home,
            };
            not_started(&theirs).await?;
            used(&theirs).await?;
            killed(&theirs).await
        });
        Box::pin(ran).await.expect("must start");
    } else {
        skip(test, "LAB_BACKEND is not `kind`");
    }
}

/// What did not come up leaves nothing, nor what was interrupted.
async fn not_started(theirs: &Theirs<'_>) -> Result<(), ClusterError> {
    let without_image = theirs.tokenlab(UP).await;
    assert_eq!(without_image.status.code(), Some(1), "{without_image}");
    let hint = "kind load image-archive";
    assert!(without_image.stderr.contains(hint), "{without_image}");
    assert_eq!(theirs.left().await?, "");

    let up = Running::start(theirs.up("9999", &[]).await);
    let look = async || match theirs.made().await {
        Ok(made) if made.contains("deployment") => Probe::<_, Infallible>::Ready(()),
        Ok(made) => Probe::NotYet(made.into()),
        Err(error) => Probe::NotYet(error.to_string().into()),
    };
    let made = until("it is made", LATER, look).await;
    made.expect("must come true");
    up.signal(Signal::SIGINT);
    let up = up.ended().await;
    assert_eq!(up.status.code(), Some(130), "{up}");
    theirs.nothing_left().await;
    Ok(())
}

async fn used(theirs: &Theirs<'_>) -> Result<(), ClusterError> {
    let up = ended(&mut theirs.up("{port}", &[]).await).await;
    assert_eq!(up.status.code(), Some(0), "{up}");
    let told = format!("--{CONFIG_FILE_FLAG}=");
    assert!(up.stdout.contains(&told), "what to set: {up}");
    assert_ne!(theirs.made().await?, "");

    let lab = theirs.done(&["status", "--json"]).await;
    let lab: Status = serde_json::from_str(&lab).expect("must be a status");
    let operator = lab.operator.as_ref().expect("must be told");
    assert!(up.stdout.contains(operator.file.as_str()), "{up}");
    assert!(operator.file.starts_with(&lab.folder));
    let status = theirs.done(&["status"]).await;
    assert!(status.contains(operator.file.as_str()), "{status}");
    assert!(status.contains("  1 of 1 ready"), "{status}");
    let list = theirs.done(&["list"]).await;
    assert!(list.contains("running  existing"), "{list}");
    let log = theirs.done(&["logs", "webhook"]).await;
    assert!(log.contains("Serving webhook server"), "{log}");
    let review = theirs.done(&["review", peer::TOKEN]).await;
    assert!(review.contains("authenticated: gopher"), "{review}");
    what_is_its_operators(theirs).await;
    asked_by_its_apiserver(theirs, &operator.config).await?;

    unwell(theirs).await?;
    theirs.done(&["down"]).await;
    assert_eq!(theirs.left().await?, "", "`down` waits for all");
    Ok(())
}

/// What would change the cluster, or look into its machines, is refused with the reason.
async fn what_is_its_operators(theirs: &Theirs<'_>) {
    for (args, why) in [
        (&["flags"][..], "neither looked at nor changed"),
        (&["flags", "--set=v=2"], "neither looked at nor changed"),
        (&["set", "--down"], "cannot be set"),
        (&["logs", "apiserver"], "the cluster is somebody else's"),
    ] {
        let refused = theirs.tokenlab(args).await;
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {refused}");
        assert!(refused.stderr.contains(why), "{args:?}: {refused}");
    }
}

/// No flag is touched; what its operator is told to set works. Then the token counts, and the
/// user's own kubeconfig may point elsewhere.
async fn asked_by_its_apiserver(theirs: &Theirs<'_>, config: &str) -> Result<(), ClusterError> {
    let whoami = ["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"];
    let admin = theirs.done(&[&["kubectl"], &whoami[..]].concat()).await;
    assert_eq!(admin, "kubernetes-admin");
    let with = ["kubectl", "--as-token", peer::TOKEN];
    let with = [&with, &whoami[..]].concat();
    let nobody = theirs.tokenlab(&with).await;
    assert!(nobody.stderr.contains("(Unauthorized)"), "{nobody}");
    let doctor = ["doctor", "--as-token", peer::TOKEN];
    let why = theirs.tokenlab(&doctor).await;
    assert_eq!(why.status.code(), Some(1), "{why}");
    let not_asked = "kube-apiserver did not ask the webhook\n";
    assert!(why.stdout.contains(not_asked), "{why}");
    theirs.cluster.wire_by(config).await?;
    let why = theirs.tokenlab(&doctor).await;
    assert_eq!(why.status.code(), Some(0), "{why}");
    let by = "from here, by a port-forward to its Pod: HTTP 200, authenticated as \"gopher\"";
    assert!(why.stdout.contains(by), "{why}");
    let known = theirs.tokenlab(&with).await;
    assert_eq!(known.stdout, "gopher", "{known}");
    let kubectl = theirs.cluster.kubectl_as(&Token::from(peer::TOKEN))?;
    assert_eq!(kubectl.run(whoami).await?.stdout, "gopher");
    theirs.cluster.unwire().await?;
    Ok(())
}

/// The Deployment is deleted by somebody.
async fn unwell(theirs: &Theirs<'_>) -> Result<(), ClusterError> {
    let delete = [
        "delete",
        "deployment",
        "my-authn",
        "--namespace=kube-system",
    ];
    let deleted = theirs.cluster.kubectl()?.run(delete).await?;
    assert!(deleted.status.success(), "{deleted}");
    let status = theirs.tokenlab(&["status"]).await;
    assert_eq!(status.status.code(), Some(1), "{status}");
    assert!(status.stdout.contains("not found"), "{status}");
    Ok(())
}

/// Its supervisor is killed; meanwhile the user's current context is another.
async fn killed(theirs: &Theirs<'_>) -> Result<(), ClusterError> {
    let lab = theirs.is_up().await;
    assert_ne!(theirs.made().await?, "");
    let file = theirs.home.file("theirs.kubeconfig");
    let unset = format!("--kubeconfig={file}");
    let unset = [unset.as_str(), "config", "unset", "current-context"];
    let kubectl = &theirs.cluster.plan().assets().kubectl;
    let unset = Command::new(kubectl).args(unset).output();
    let unset = Output::from(unset.await.expect("must run"));
    assert!(unset.status.success(), "{unset}");
    let still = theirs
        .done(&["kubectl", "get", "ns", "kube-system", "-o=name"])
        .await;
    assert_eq!(still, "namespace/kube-system\n");
    signal(lab.pid, Signal::SIGKILL);
    theirs.nothing_left().await;
    Ok(())
}
