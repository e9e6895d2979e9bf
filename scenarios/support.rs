//! What every scenario stands on: a shared lab, the mock's decision, snapshots.

#[path = "../harness/tests/lab/skipped.rs"]
pub(crate) mod skipped;

mod conditions;
mod reviews;

use std::path::Path;

use rstest::{Context, fixture};
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::{Backend, Cluster, Kubectl, SharedConfig, SharedLab, fresh_token};
use tokenlab_webhook::{Authenticator as _, Decision, Mock, Review, Token};

pub(crate) use conditions::{
    Kubernetes, bare_only, can_be_made, if_made, is_since, name, runs_bare_only, since, slow,
    slow_ones_run,
};
pub(crate) use reviews::{SOON, answer, review, reviewed};

/// The lab that all scenarios share which need no flags of their own. `LAB_KUBERNETES` names
/// the version of Kubernetes.
#[fixture]
pub(crate) async fn lab() -> SharedLab {
    SharedLab::get(config()).await
}

/// A lab whose webhook knows everybody as the mock, on the backend that `LAB_BACKEND` names. On
/// a real cluster that is the product's image.
pub(crate) enum MockLab {
    Bare(SharedLab),
    Cluster(&'static Cluster),
}

/// The lab for the claims that need nothing but the mock: they hold on every backend.
#[fixture]
pub(crate) async fn mock_lab() -> MockLab {
    match Backend::from_env().expect("LAB_BACKEND must be a backend") {
        Backend::Bare => MockLab::Bare(SharedLab::get(config()).await),
        backend @ (Backend::Kind | Backend::K3s) => {
            MockLab::Cluster(Cluster::shared(backend, config().kubernetes).await)
        }
        Backend::Existing => panic!("the scenarios change what a cluster of others must not be"),
    }
}

impl MockLab {
    /// A token that nobody has shown before, and whom the webhook takes its bearer for.
    pub(crate) async fn token(&self) -> Token {
        match self {
            Self::Bare(lab) => lab.scripted().token(mock().await),
            Self::Cluster(_everybody_is_mock) => fresh_token(),
        }
    }

    pub(crate) fn kubectl_as(&self, token: &Token) -> Kubectl {
        match self {
            Self::Bare(lab) => lab.kubectl_as(token).expect("must be made"),
            Self::Cluster(lab) => lab.kubectl_as(token).expect("must be made"),
        }
    }

    pub(crate) async fn client_as(&self, token: &Token) -> kube::Client {
        match self {
            Self::Bare(lab) => lab.client_as(token).await.expect("must be made"),
            Self::Cluster(lab) => lab.client_as(token).await.expect("must be made"),
        }
    }

    /// How often the webhook was asked for a token; only an owner's own webhook tells.
    pub(crate) fn calls(&self, token: &Token) -> Option<usize> {
        match self {
            Self::Bare(lab) => Some(lab.scripted().calls(token).len()),
            Self::Cluster(_) => None,
        }
    }
}

/// The configuration of that lab, for those that change a part of it.
pub(crate) fn config() -> SharedConfig {
    SharedConfig {
        kubernetes: Wanted::from_env().expect("LAB_KUBERNETES must be a version"),
        ..SharedConfig::default()
    }
}

/// What the product's mock says of any token.
pub(crate) async fn mock() -> Decision {
    Mock.authenticate(&Review::new(Token::from("any"))).await
}

/// A snapshot's file is named by the scenario and its case.
pub(crate) fn file(context: &Context) -> String {
    match context.description {
        Some(case) => format!("{}__{case}", context.name),
        None => context.name.to_owned(),
    }
}

/// Where the reviewed answers lie, and what in them varies from run to run.
pub(crate) fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // kubectl's own log lines: dates and process numbers in each run, other words and line
    // numbers in each version. What it tells the user comes after them.
    settings.add_filter(r"(?m)^([EW]\d{4} .*\n)+", "[KUBECTL'S LOG]\n");
    // Where Kubernetes' own source registers its types: another line in each version.
    settings.add_filter(r"(runtime/scheme\.go):\d+", "$1:[LINE]");
    // Ports are drawn, streams are counted, and Go tells the time.
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
    settings.add_filter(r"LastStreamID=\d+", "LastStreamID=[ID]");
    settings.add_filter(r"stream ID \d+", "stream ID [ID]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]");
    settings
}

/// Compares a text with `snapshots/<scenario>__<case>.snap`.
macro_rules! assert_reviewed {
    ($context:expr, $answer:expr) => {
        $crate::support::settings().bind(|| {
            insta::assert_snapshot!($crate::support::file(&$context), $answer.trim_end());
        })
    };
}

/// Compares the outcome of a command likewise. libtest shows it unfiltered when the test fails.
macro_rules! assert_output {
    ($context:expr, $output:expr) => {{
        let text = $output.to_string();
        println!("{text}");
        $crate::support::assert_reviewed!($context, text);
    }};
}

pub(crate) use {assert_output, assert_reviewed};
