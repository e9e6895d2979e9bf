//! Real builds, in the user's own store and engine.

use std::convert::Infallible;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use camino::Utf8Path;
use serde_json::Value;
use tokenlab_harness::{Poll, Probe, until};

const POLL: Poll = Poll {
    every: Duration::from_millis(50),
    within: Duration::from_secs(180),
};

/// Whether this run may use Docker; a test that may not says so.
fn allowed(test: &str) -> bool {
    let allowed = std::env::var("LAB_BACKEND").is_ok_and(|backend| backend == "kind");
    if !allowed {
        crate::skipped::skip(test, "LAB_BACKEND is not `kind`");
    }
    allowed
}

fn tokenlab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenlab"));
    command.arg("node-image").args(args);
    command
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("must be JSON")
}

/// The lines that docker prints.
fn docker(args: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(args).output();
    let output = output.expect("must be there");
    assert!(output.status.success(), "docker {args:?}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("must be UTF-8");
    text.lines().map(str::to_owned).collect()
}

fn new(now: Vec<String>, before: &[String]) -> Vec<String> {
    let now = now.into_iter();
    now.filter(|name| !before.contains(name)).collect()
}

fn workbenches() -> Vec<String> {
    let label = "label=tokenlab=workbench";
    docker(&["ps", "--all", "--filter", label, "--format", "{{.Names}}"])
}

fn bases() -> Vec<String> {
    let format = "{{.Repository}}:{{.Tag}}";
    docker(&["image", "ls", "tokenlab/node-base", "--format", format])
}

fn id(image: &str) -> Vec<String> {
    docker(&["image", "inspect", "--format", "{{.Id}}", image])
}

/// A build, and the bases that it leaves.
struct Build(Child, Vec<String>);

impl Drop for Build {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // A test that has failed shall not fail twice, which would end all tests.
        for base in new(bases(), &self.1) {
            let _ = Command::new("docker").args(["image", "rm", &base]).output();
        }
    }
}

/// The second build finds what the first one made; one that is killed leaves nothing that has a
/// name of a node image, nor a container, nor a folder.
#[tokio::test]
async fn a_build_is_cached_and_a_killed_one_leaves_nothing() {
    if !allowed("node_image::real::a_build_is_cached_and_a_killed_one_leaves_nothing") {
        return;
    }
    let build = || tokenlab(&["build", "--json"]).output().expect("must start");
    let first = json(&build());
    let second = json(&build());
    assert_eq!(second["cached"], true);
    assert_eq!(second["inputs"], first["inputs"]);
    let name = second["name"].as_str().expect("must be text");
    let listed = tokenlab(&["list", "--json"]).output().expect("must start");
    let listed = json(&listed);
    let mut listed = listed.as_array().expect("must be a list").iter();
    assert!(listed.any(|image| image["name"] == name));

    // Another kubectl makes it another image.
    let folder = tempfile::tempdir().expect("must be made");
    let path = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
    let (tmp, kubectl) = (path.join("tmp"), path.join("another-kubectl"));
    std::fs::create_dir(&tmp).expect("must be made");
    std::fs::write(&kubectl, "#!/bin/sh\n").expect("must be written");
    std::fs::set_permissions(
        &kubectl,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("must be set");
    let (image, before) = (id(name), workbenches());
    let mut command = tokenlab(&["build"]);
    command
        .env("TMPDIR", &tmp)
        .env("TEST_ASSET_KUBECTL", &kubectl);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut build = Build(command.spawn().expect("must start"), bases());
    let look = async || {
        if new(workbenches(), &before).is_empty() {
            Probe::<_, Infallible>::NotYet("no container".into())
        } else {
            Probe::Ready(())
        }
    };
    until("it works in a container", POLL, look)
        .await
        .expect("must come");
    build.0.kill().expect("must be killed");
    let look = async || {
        let mut left = new(workbenches(), &before);
        let entries = tmp.read_dir_utf8().expect("must be read");
        left.extend(entries.flatten().map(|entry| entry.path().to_string()));
        if left.is_empty() {
            Probe::<_, Infallible>::Ready(())
        } else {
            Probe::NotYet(left.join(", ").into())
        }
    };
    until("nothing is left", POLL, look).await.expect("must go");
    assert_eq!(id(name), image);
}
