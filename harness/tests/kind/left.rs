//! What is left of a cluster whose owner is gone: nothing.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use tokenlab_harness::{Poll, Probe, until};

pub(crate) const POLL: Poll = Poll {
    every: Duration::from_millis(200),
    within: Duration::from_secs(180),
};

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: production\n";

/// The demo's process. Dropped by a panic, it is ended.
pub(crate) struct Demo(pub(crate) Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What docker finds by these arguments.
fn found(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output();
    let output = output.expect("docker must be there");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("must be UTF-8")
}

/// The demo's cluster, by what it wrote into its run folder; `None` before that.
fn cluster(folder: &Path) -> Option<String> {
    let entries = folder.read_dir().expect("must be read").flatten();
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("kind.yaml")).ok())
        .find_map(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("name: "));
            name.map(str::to_owned)
        })
}

fn node(cluster: &str) -> String {
    let filter = format!("name=^{cluster}-control-plane$");
    found(&["ps", "--all", "--quiet", "--filter", &filter])
}

fn network(cluster: &str) -> String {
    let filter = format!("name=^{cluster}$");
    found(&["network", "ls", "--quiet", "--filter", &filter])
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
            let node = cluster(folder.path()).map(|cluster| node(&cluster));
            if node.is_none_or(|node| node.is_empty()) {
                Probe::<_, Infallible>::NotYet("no node".into())
            } else {
                Probe::Ready(())
            }
        };
        until("there is a node", POLL, look)
            .await
            .expect("must come");
    }
    let cluster = cluster(folder.path()).expect("must have been made");
    assert_ne!(node(&cluster), "");
    assert_ne!(network(&cluster), "");
    let sent = Command::new("kill")
        .args(["-s", signal, &demo.0.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let look = async || {
        let mut left = vec![node(&cluster), network(&cluster)];
        left.retain(|name| !name.is_empty());
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
