//! What is left of a cluster whose owner is gone: nothing.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use tokenlab_harness::{Poll, Probe, until};

const POLL: Poll = Poll {
    every: Duration::from_millis(200),
    within: Duration::from_secs(180),
};

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: production\n";

/// The demo's process. Dropped by a panic, it is ended.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines that docker prints.
fn names(args: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(args).output();
    let output = output.expect("docker must be there").stdout;
    let text = String::from_utf8(output).expect("must be UTF-8");
    text.lines().map(str::to_owned).collect()
}

fn nodes() -> Vec<String> {
    names(&[
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        "name=^tokenlab-",
    ])
}

fn networks() -> Vec<String> {
    names(&[
        "network",
        "ls",
        "--format",
        "{{.Name}}",
        "--filter",
        "label=tokenlab=kind",
    ])
}

#[rstest]
#[case::killed_while_it_is_created("KILL", false)]
#[case::killed_while_it_runs("KILL", true)]
#[case::interrupted_while_it_is_created("INT", false)]
#[case::interrupted_while_it_runs("INT", true)]
#[tokio::test]
async fn an_owner_who_is_gone_leaves_nothing(
    #[case] signal: &str,
    #[case] wait_until_it_runs: bool,
) {
    if !super::allowed("kind::left::an_owner_who_is_gone_leaves_nothing") {
        return;
    }
    let folder = tempfile::tempdir().expect("must be made");
    // The user's own, which nobody touches.
    let home = tempfile::tempdir().expect("must be made");
    let kubeconfig = home.path().join("config");
    std::fs::write(&kubeconfig, KUBECONFIG).expect("must be written");
    let (nodes_before, networks_before) = (nodes(), networks());
    let new = |now: Vec<String>, before: &[String]| {
        let now = now.into_iter();
        now.filter(|name| !before.contains(name))
            .collect::<Vec<_>>()
    };
    let demo = Command::new(env!("CARGO_BIN_EXE_tokenlab"))
        .args(["demo", "--backend", "kind", "--wire", "create", "--hold"])
        .env("TMPDIR", folder.path())
        .env("KUBECONFIG", &kubeconfig)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut demo = Demo(demo.expect("must start"));
    if wait_until_it_runs {
        let stdout = BufReader::new(demo.0.stdout.take().expect("must be a pipe"));
        let mut lines = stdout.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("The cluster runs until Ctrl-C")));
    } else {
        let look = async || {
            if new(nodes(), &nodes_before).is_empty() {
                Probe::<_, Infallible>::NotYet("no node".into())
            } else {
                Probe::Ready(())
            }
        };
        until("there is a node", POLL, look)
            .await
            .expect("must come");
    }
    let sent = Command::new("kill")
        .args(["-s", signal, &demo.0.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let look = async || {
        let mut left = new(nodes(), &nodes_before);
        left.extend(new(networks(), &networks_before));
        let folders = folder.path().read_dir().expect("must be read");
        left.extend(folders.flatten().map(|entry| format!("{:?}", entry.path())));
        if left.is_empty() {
            Probe::<(), Infallible>::Ready(())
        } else {
            Probe::NotYet(left.join(", ").into())
        }
    };
    until("nothing is left", POLL, look).await.expect("must go");
    let after = std::fs::read_to_string(&kubeconfig);
    assert_eq!(after.expect("must be there"), KUBECONFIG);
}
