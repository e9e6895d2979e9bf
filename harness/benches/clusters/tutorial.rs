//! The tutorial's way, as a script: what a person types, without the pauses of a person.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use camino::Utf8PathBuf;
use tokenlab_harness::RunFolder;
use tokio::process::Command;

use crate::phase::{Phase, Round};

const SCRIPT: &str = include_str!("tutorial.sh");

/// What the script finds ready: the files of a lab whose webhook is wired in later.
pub(crate) const FILES: [&str; 4] = [
    "kind.yaml",
    "image.tar",
    "authn-webhook-deploy.yml",
    "webhook-config.yml",
];

/// Everything that the script is told.
#[derive(Debug)]
pub(crate) struct Tutorial {
    pub(crate) kind: Utf8PathBuf,
    pub(crate) kubectl: Utf8PathBuf,
    pub(crate) files: RunFolder,
}

impl Tutorial {
    /// One cluster, from nothing to Forbidden.
    pub(crate) async fn run(&self) -> anyhow::Result<Round> {
        let Self {
            kind,
            kubectl,
            files,
        } = self;
        let name = format!("tokenlab-tutorial-{}", std::process::id());
        // Not killed when this ends: it cleans up behind itself.
        let output = Command::new("bash")
            .args(["-c", SCRIPT, "tutorial", kind.as_str(), kubectl.as_str()])
            .arg(&name)
            .current_dir(files.path())
            .stdin(Stdio::null())
            .output()
            .await
            .context("bash cannot be run")?;
        ensure!(
            output.status.success(),
            "the tutorial's script failed:\n{}",
            last_lines(&String::from_utf8_lossy(&output.stderr))
        );
        read(&String::from_utf8(output.stdout)?)
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Lines such as `create 12345678`.
fn read(text: &str) -> anyhow::Result<Round> {
    let mut round = Round::default();
    for line in text.lines() {
        let (name, took) = line.split_once(' ').context("a line without a number")?;
        let mut phases = Phase::ALL.into_iter();
        let phase = phases.find(|phase| phase.name() == name);
        let took = Duration::from_micros(took.parse()?);
        round.add(phase.context("an unknown phase")?, took);
    }
    Ok(round)
}
