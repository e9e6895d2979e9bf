//! What is left of a failure, to be handed on: one folder, `diagnostics` in the run folder.
//!
//! # Which folder may be shown to whom
//!
//! A run folder is the lab itself: its kubeconfigs work and its keys open, so it has mode 0700 and
//! stays with its user. **`diagnostics` in it is for others**: each file in it, copies of the
//! run folder's included, went through [`redaction`]. A failure announces that path.
//!
//! - A cluster that failed is gone afterwards, and its credentials are good for nothing: only
//!   `diagnostics` stays of its run folder.
//! - A bare control plane's run folder stays whole, as before (errors name the logs in it), with
//!   `diagnostics` in it.
//! - `LAB_KEEP` keeps every run folder whole: who asks for it wants the kubeconfigs.
//!
//! # How it is collected
//!
//! Everything is asked by Docker, in the node: that works while the apiserver is down, and where
//! this machine does not reach it; a node that never came up has a log and a state still.
//! [`Source`]s are asked side by side, each for a limited time, and so all of them ([`LIMITS`]);
//! what does not answer is in the README, with the reason, and holds up nothing else.

mod bundle;
mod redaction;
mod sources;

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use futures::StreamExt as _;
use tokenlab_webhook::Token;

use crate::docker::Docker;
use crate::kubectl::Output;
use crate::manifests::Manifests;
use crate::run_folder::{RunFolder, RunFolderError};
use crate::tool::Input;

pub(crate) use bundle::{Bundle, NAME};
pub(crate) use redaction::Redaction;
pub(crate) use sources::SET_ASIDE;
use sources::Source;

/// How long it may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    all: Duration,
    each: Duration,
}

const LIMITS: Limits = Limits {
    all: Duration::from_secs(60),
    each: Duration::from_secs(20),
};
/// How many are asked at once: more only make each other late.
const AT_ONCE: usize = 4;

/// What the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeSetup {
    /// Static Pods by kubeadm, as in kind's nodes.
    Kubeadm,
    /// One process.
    K3s,
}

/// Whose failure it is.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) docker: &'a Docker,
    /// The node.
    pub(crate) container: &'a str,
    pub(crate) setup: NodeSetup,
    /// The webhook's objects.
    pub(crate) manifests: &'a Manifests,
    /// The webhook's file in the node.
    pub(crate) config_file: &'a str,
    /// What failed, where that is known: all of its text, which an error shows the end of.
    pub(crate) failure: Option<String>,
    /// What was handed out and stands in no kubeconfig of the run folder.
    pub(crate) tokens: &'a [Token],
}

impl Subject<'_> {
    /// Fills `diagnostics` in the run folder, says where it is, and has the rest of the run
    /// folder deleted with the lab. It is told beside another failure, which is the one to tell:
    /// that there is nothing to show is said on standard error alone.
    pub(crate) async fn leave(&self, folder: &RunFolder) {
        match self.collect(folder, LIMITS).await {
            Ok(_) => folder.keep_diagnostics(),
            Err(error) => {
                tracing::warn!("no diagnostics: {error}");
                folder.keep();
            }
        }
    }

    async fn collect(
        &self,
        folder: &RunFolder,
        limits: Limits,
    ) -> Result<Utf8PathBuf, RunFolderError> {
        let began = Instant::now();
        let mut bundle = folder.bundle()?;
        for token in self.tokens {
            bundle.know(token.expose());
        }
        if let Some(failure) = &self.failure {
            bundle.add(
                "failure.txt",
                "what failed, in its own words",
                failure,
                None,
            );
        }
        // Before this adds command lines of its own.
        bundle.copy_run_folder();
        let sources = self.sources().into_iter();
        let until = began + limits.all;
        let ask = |source| self.ask(source, limits.each, until);
        let mut answers = futures::stream::iter(sources.map(ask))
            // In the order of the list, which is the README's.
            .buffered(AT_ONCE);
        while let Some((source, answer)) = answers.next().await {
            self.file_answer(&mut bundle, &source, answer);
        }
        bundle.finish(&format!(
            "What was found of the node {} when its lab failed; it took {:.1?}.",
            self.container,
            began.elapsed()
        ))
    }

    async fn ask(
        &self,
        source: Source,
        each: Duration,
        until: Instant,
    ) -> (Source, Result<Output, String>) {
        let limit = each.min(until.saturating_duration_since(Instant::now()));
        if limit.is_zero() {
            return (source, Err("there was no time left".to_owned()));
        }
        let args: Vec<&str> = source.args.iter().map(String::as_str).collect();
        let output = self.docker.tool().output(&args, Input::Nothing);
        let answer = match tokio::time::timeout(limit, output).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("no answer within {limit:.1?}")),
        };
        (source, answer)
    }

    fn file_answer(&self, bundle: &mut Bundle, source: &Source, answer: Result<Output, String>) {
        let output = match answer {
            Ok(output) => output,
            Err(why) => return bundle.miss(source.file, &why),
        };
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        if !status.success() {
            let last = stderr.trim().lines().next_back().unwrap_or_default();
            bundle.miss(source.file, &format!("{last} ({status})"));
            // What `docker inspect` says of nothing is an empty list.
            if matches!(stdout.trim(), "" | "[]") {
                return;
            }
        }
        let args: Vec<&str> = source.args.iter().map(String::as_str).collect();
        let command = self.docker.tool().line(&args);
        let text = stdout + &stderr;
        bundle.add(source.file, source.answers, &text, Some(command));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::stand_in;

    /// What is left by an engine that never answers for the cluster, more questions than are asked at
    /// once, and answers all others.
    async fn left(limits: Limits) -> String {
        let folder = RunFolder::create().expect("must be made");
        let script = "case $* in *' kubectl '*) exec sleep 1000 ;; *) echo 20.10 ;; esac";
        let program = stand_in(&folder.file("docker"), script);
        let subject = Subject {
            docker: &Docker::stand_in(program),
            container: "node",
            setup: NodeSetup::Kubeadm,
            manifests: &Manifests::default(),
            config_file: "/etc/config.yml",
            failure: Some("curl -H 'Authorization: Bearer a' said: canary".to_owned()),
            tokens: &[Token::from("canary")],
        };
        let path = subject.collect(&folder, limits).await;
        let path = path.expect("must be collected");
        let read = |name| std::fs::read_to_string(path.join(name)).expect("must be there");
        assert_eq!(
            read("failure.txt"),
            "curl -H 'Authorization: Bearer [REDACTED: bearer token]' said: [REDACTED: credential of this lab]"
        );
        read("README.txt")
    }

    #[tokio::test]
    async fn one_that_never_answers_holds_up_no_other() {
        let readme = left(Limits {
            all: Duration::from_secs(3600),
            each: Duration::from_secs(2),
        });
        let readme = readme.await;
        assert!(readme.contains("\ndocker-version.txt"), "{readme}");
        assert!(readme.contains(", events.txt, "), "{readme}");
        assert!(readme.contains("no answer within 2.0s"), "{readme}");
    }

    #[tokio::test]
    async fn all_of_them_end_in_time() {
        let readme = left(Limits {
            all: Duration::ZERO,
            each: Duration::from_secs(3600),
        });
        let readme = readme.await;
        assert!(readme.contains(", docker-version.txt, "), "{readme}");
        assert!(readme.contains("there was no time left"), "{readme}");
    }
}
