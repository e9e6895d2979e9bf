//! The Go peer: controller-runtime's envtest, built and run.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use serde::Deserialize;
use tokenlab_harness::RunFolder;
use tokenlab_harness::assets::{Assets, Program};
use tokenlab_harness::progress::Progress;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/envtest");
const PROGRAM: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/envtest-peer");

/// The peer, or the reason why there is none.
#[derive(Debug)]
pub(crate) enum Peer {
    Running(Box<Envtest>),
    Absent(String),
}

/// The running peer. It ends when its standard input does, but never in the middle of a round:
/// what it has started, it stops.
#[derive(Debug)]
pub(crate) struct Envtest {
    process: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _programs: Option<RunFolder>,
}

/// What one round of it took, in seconds.
#[derive(Debug, Deserialize)]
struct Answer {
    start: f64,
    stop: f64,
}

impl Peer {
    /// Builds it into `target/`, and starts it on the same programs.
    pub(crate) async fn build(assets: &Assets, progress: &Progress) -> anyhow::Result<Self> {
        if go_version().is_none() {
            return Ok(Self::Absent("no go on PATH".to_owned()));
        }
        let title = format!("building the envtest peer into {PROGRAM}; minutes the first time");
        if let Err(reason) = progress.step(&title, build()).await {
            return Ok(Self::Absent(reason));
        }
        let (folder, links) = match assets.folder() {
            Some(folder) => (folder.to_owned(), None),
            None => linked(assets).map(|links| (links.path().to_owned(), Some(links)))?,
        };
        Ok(Self::Running(Box::new(Envtest::start(&folder, links)?)))
    }

    /// Starts and ends one control plane: the two durations.
    pub(crate) async fn round(&mut self) -> anyhow::Result<Option<(Duration, Duration)>> {
        match self {
            Self::Running(envtest) => envtest.round().await.map(Some),
            Self::Absent(_) => Ok(None),
        }
    }
}

impl Envtest {
    fn start(programs: &Utf8Path, links: Option<RunFolder>) -> anyhow::Result<Self> {
        let mut command = Command::new(PROGRAM);
        for variable in Program::ALL.map(Program::variable) {
            command.env_remove(variable);
        }
        let mut process = command
            .env("KUBEBUILDER_ASSETS", programs)
            .env_remove("USE_EXISTING_CLUSTER")
            // A Ctrl-C must not end it before it has stopped what it started.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the peer cannot be run")?;
        let (Some(ask), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("the peer has no pipes");
        };
        Ok(Self {
            process,
            ask,
            answers: BufReader::new(answers).lines(),
            _programs: links,
        })
    }

    async fn round(&mut self) -> anyhow::Result<(Duration, Duration)> {
        self.ask.write_all(b"\n").await?;
        let Some(line) = self.answers.next_line().await? else {
            bail!("the peer ended: {}", self.process.wait().await?);
        };
        let Answer { start, stop } = serde_json::from_str(&line)?;
        Ok((
            Duration::from_secs_f64(start),
            Duration::from_secs_f64(stop),
        ))
    }
}

async fn build() -> Result<(), String> {
    let mut go = Command::new("go");
    let status = go
        .args(["build", "-trimpath", "-o", PROGRAM, "."])
        .current_dir(SOURCE)
        .status()
        .await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("go build failed".to_owned()),
        Err(_) => Err("go cannot be run".to_owned()),
    }
}

/// One folder with the three programs, which lie in several.
fn linked(assets: &Assets) -> anyhow::Result<RunFolder> {
    let folder = RunFolder::create()?;
    for (program, path) in [
        (Program::Etcd, &assets.etcd),
        (Program::KubeApiserver, &assets.kube_apiserver),
        (Program::Kubectl, &assets.kubectl),
    ] {
        let target = path.canonicalize()?;
        std::os::unix::fs::symlink(target, folder.file(program.name()))?;
    }
    Ok(folder)
}

/// `go1.26.8`; `None` when there is no go.
fn go_version() -> Option<String> {
    let mut go = std::process::Command::new("go");
    let output = go.args(["env", "GOVERSION"]).current_dir(SOURCE).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|version| !version.is_empty())
}

/// What the peer is built of.
pub(crate) fn versions() -> String {
    let go = go_version().unwrap_or_else(|| "no go".to_owned());
    format!("controller-runtime {}, {go}", controller_runtime())
}

/// The version that the peer is built with, as its `go.mod` names it.
fn controller_runtime() -> &'static str {
    let module = include_str!("../envtest/go.mod");
    let required = module.lines().find_map(|line| {
        let (_, version) = line.split_once("sigs.k8s.io/controller-runtime ")?;
        Some(version)
    });
    required.unwrap_or("unknown")
}
