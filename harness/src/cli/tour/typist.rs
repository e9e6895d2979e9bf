//! Runs command lines as they are shown: by `sh`, in the lab's folder.

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use std::process::Stdio;
use tokio::process::Command;

use super::TOKEN;
use super::step::Outcome;

/// What may be missing, and what tells. The `openssl x509` of `LibreSSL` has no `-ext`, a small `ps` no
/// `-p`.
const TOOLS: [(&str, &str); 3] = [
    ("curl", "curl --version"),
    ("openssl", "openssl version | grep '^OpenSSL '"),
    ("ps", "ps -o pid,comm -p $$"),
];

/// Longer than this, a word of Base64 is a certificate's.
const BASE64: usize = 80;

pub(super) struct Typist {
    folder: Utf8PathBuf,
    missing: Vec<&'static str>,
}

impl Typist {
    pub(super) async fn new(folder: &Utf8Path) -> anyhow::Result<Self> {
        let mut typist = Self {
            folder: folder.to_owned(),
            missing: Vec::new(),
        };
        for (tool, probe) in TOOLS {
            if !typist.shell(probe).await?.status.success() {
                typist.missing.push(tool);
            }
        }
        Ok(typist)
    }

    /// The lines; one that cannot be run here is a comment.
    pub(super) fn shown(&self, commands: Vec<String>) -> Vec<String> {
        let shown = |line: String| match self.lacks(&line) {
            Some(tool) => format!("# no {tool} here: {line}"),
            None => line,
        };
        commands.into_iter().map(shown).collect()
    }

    /// Runs the line, and adds what it prints. It must print `part`; the lines that have it are the
    /// ones to look at, if so.
    pub(super) async fn see(
        &self,
        mut outcome: Outcome,
        line: &str,
        part: &str,
        marked: bool,
    ) -> anyhow::Result<Outcome> {
        if let Some(tool) = self.lacks(line) {
            outcome.look = format!("there is no {tool} here, so what it shows was not seen");
            return Ok(outcome);
        }
        let said = self.run(line).await?;
        if !said.contains(part) {
            bail!("`{line}` did not print `{part}`, but:\n{said}");
        }
        Ok(outcome.marked_where(&said, |line| marked && line.contains(part)))
    }

    /// What the line prints, on both of its streams. What is shortened has a `…`.
    pub(super) async fn run(&self, line: &str) -> anyhow::Result<String> {
        let output = self.shell(line).await?;
        Ok(shortened(&String::from_utf8_lossy(&output.stdout)))
    }

    fn lacks(&self, line: &str) -> Option<&'static str> {
        let tool = line.split(' ').next();
        let mut missing = self.missing.iter().copied();
        missing.find(|missing| tool == Some(missing))
    }

    async fn shell(&self, line: &str) -> anyhow::Result<std::process::Output> {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("exec 2>&1\n{line}")])
            .current_dir(&self.folder)
            // Everything that is asked is on this machine.
            .env("NO_PROXY", "*")
            .env("no_proxy", "*")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        shell.output().await.context("`/bin/sh` could not be run")
    }
}

/// Without the tutorial's token, of which nobody has to make a habit, and without what nobody reads.
fn shortened(text: &str) -> String {
    let text = text.replace(TOKEN, &format!("{}…", &TOKEN[..4]));
    let short = |word: &str| {
        let base64 = |char: char| char.is_ascii_alphanumeric() || "+/=".contains(char);
        if word.len() > BASE64 && word.chars().all(base64) {
            format!("{}…", &word[..24])
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| line.split(' ').map(short).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typist(missing: &[&'static str]) -> Typist {
        Typist {
            folder: "/".into(),
            missing: missing.to_vec(),
        }
    }

    #[tokio::test]
    async fn what_is_shown_is_what_is_run() {
        let line = "echo one; echo two >&2; pwd";
        let outcome = typist(&[]).see(Outcome::new("so"), line, "two", true).await;
        let lines = outcome.expect("must be seen").lines;
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (&*line.text, line.marked))
            .collect();
        assert_eq!(lines, [("one", false), ("two", true), ("/", false)]);
        let error = typist(&[])
            .see(Outcome::new("so"), line, "three", true)
            .await;
        let error = error.expect_err("must fail").to_string();
        assert!(
            error.starts_with("`echo one; echo two >&2; pwd` did not print"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_is_missing_is_neither_typed_nor_seen() {
        let typist = typist(&["curl"]);
        let lines = ["curl -sS \\\n    x", "curly"].map(str::to_owned);
        assert_eq!(
            typist.shown(lines.to_vec()),
            ["# no curl here: curl -sS \\\n    x", "curly"]
        );
        let outcome = typist.see(Outcome::new("so"), &lines[0], "x", true).await;
        let outcome = outcome.expect("is no failure");
        assert!(outcome.lines.is_empty());
        assert_eq!(
            outcome.look,
            "there is no curl here, so what it shows was not seen"
        );
    }

    #[test]
    fn what_is_shortened_is_marked() {
        let long = "A".repeat(BASE64 + 1);
        assert_eq!(
            shortened(&format!("  data: {long}\r\n{{\"token\":\"{TOKEN}\"}}")),
            format!("  data: {}…\n{{\"token\":\"ZGVt…\"}}", "A".repeat(24))
        );
        let path = format!("/{long}.crt");
        assert_eq!(shortened(&path), path);
    }
}
