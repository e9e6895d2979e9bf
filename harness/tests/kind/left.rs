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
#[case::while_it_is_created(false)]
#[case::while_it_runs(true)]
#[tokio::test]
async fn a_killed_owner_leaves_nothing(#[case] wait_until_it_runs: bool) {
    if !super::allowed("kind::left::a_killed_owner_leaves_nothing") {
        return;
    }
    let folder = tempfile::tempdir().expect("must be made");
    let (nodes_before, networks_before) = (nodes(), networks());
    let new = |now: Vec<String>, before: &[String]| {
        let now = now.into_iter();
        now.filter(|name| !before.contains(name))
            .collect::<Vec<_>>()
    };
    let demo = Command::new(env!("CARGO_BIN_EXE_tokenlab"))
        .args(["demo", "--backend", "kind", "--wire", "create", "--hold"])
        .env("TMPDIR", folder.path())
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
    demo.0.kill().expect("must be killed");
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
}
