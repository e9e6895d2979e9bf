//! What is left of a k3s whose owner is gone: nothing.

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
pub(crate) fn lines(args: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(args).output();
    let output = output.expect("docker must be there");
    // What cannot be asked is not gone.
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("must be UTF-8");
    text.lines().map(str::to_owned).collect()
}

fn containers() -> Vec<String> {
    const K3S: &str = "label=tokenlab=k3s";
    lines(&["ps", "--all", "--format", "{{.Names}}", "--filter", K3S])
}

/// Whatever in the engine has this in its name.
fn named(name: &str) -> Vec<String> {
    let mut all = lines(&["ps", "--all", "--format", "{{.Names}}"]);
    all.extend(lines(&["network", "ls", "--format", "{{.Name}}"]));
    all.extend(lines(&["image", "ls", "--format", "{{.Repository}}"]));
    all.retain(|one| one.contains(name));
    all
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Created,
    Runs,
}

#[rstest]
#[case::killed_while_it_is_created(When::Created, "KILL")]
#[case::killed_while_it_runs(When::Runs, "KILL")]
#[case::interrupted_while_it_runs(When::Runs, "INT")]
#[tokio::test]
async fn an_owner_that_ends_leaves_nothing(#[case] when: When, #[case] signal: &str) {
    let _alone = super::alone().await;
    let plan = super::planned("k3s::left::an_owner_that_ends_leaves_nothing", |builder| {
        builder.agent(false)
    });
    if plan.await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("must be made");
    let (before, volumes) = (containers(), lines(&["volume", "ls", "--quiet"]));
    let demo = Command::new(env!("CARGO_BIN_EXE_tokenlab"))
        .args([
            "demo",
            "--backend",
            "k3s",
            "--no-agent",
            "--wire",
            "create",
            "--hold",
        ])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        // Why it ended, when it does so too early.
        .stderr(Stdio::inherit())
        .spawn();
    let mut demo = Demo(demo.expect("must start"));
    // The one that only says its version has another name.
    let look = async || {
        let new = containers().into_iter();
        let mut new = new.filter(|name| !before.contains(name));
        match new.find_map(|name| name.strip_suffix("-k3s").map(str::to_owned)) {
            Some(name) => Probe::<_, Infallible>::Ready(name),
            None => Probe::NotYet("no k3s".into()),
        }
    };
    let name = until("there is a k3s", POLL, look).await;
    let name = name.expect("must come");
    if when == When::Runs {
        let stdout = BufReader::new(demo.0.stdout.take().expect("must be a pipe"));
        let mut lines = stdout.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("The cluster runs until Ctrl-C")));
        // Two containers, a network and an image.
        assert_eq!(named(&name).len(), 4, "{:?}", named(&name));
    }
    let sent = Command::new("kill")
        .args(["-s", signal, &demo.0.id().to_string()])
        .status();
    assert!(sent.expect("must run").success());
    demo.0.wait().expect("must end");
    let look = async || {
        let mut left = named(&name);
        let now = lines(&["volume", "ls", "--quiet"]).into_iter();
        left.extend(now.filter(|volume| !volumes.contains(volume)));
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
