//! What a named lab is asked, and what it answers: over the unix socket in its run folder, one JSON
//! object a line.
//!
//! A connection carries one [`Request`] and its answers: one [`Response`], or several where a stream
//! was asked for, until either end closes it.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use semver::Version;
use serde::{Deserialize, Serialize};
use tokenlab_webhook::Token;

use super::name::LabName;
use super::settings::{Change, Settings};
use crate::backend::Backend;
use crate::diagnosis::{Diagnosis, Shown};
use crate::existing::Operator;
use crate::journal::ReviewEvent;
use crate::reviewed::Reviewed;

/// The version of this program. Two versions do not speak to each other.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The line that a client sends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope<T> {
    /// The client's version.
    pub(super) tokenlab: String,
    /// What it asks.
    pub(super) request: T,
}

/// What a lab is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Request {
    /// How it is. Answered by [`Response::Status`].
    Status,
    /// To end. Answered by [`Response::Done`] when it begins to.
    Stop,
    /// To start its apiserver anew with other flags: names without dashes, `None` takes one away.
    /// Answered by [`Response::Flags`] when it runs with them, and as before when it cannot.
    SetFlags {
        /// The flags.
        flags: Vec<(String, Option<String>)>,
    },
    /// To have its webhook behave otherwise; without any change, to tell how it does. Answered by
    /// [`Response::Settings`].
    Set {
        /// What shall change, in this order.
        changes: Vec<Change>,
    },
    /// To tell of each token that is decided about, from now on: a [`Response::Watching`], and then
    /// a [`Response::Review`] each, or a [`Response::Missed`] where the client was too slow.
    Watch {
        /// Whether to begin with what there was: the last thousand.
        past: bool,
    },
    /// With which flags its apiserver runs. Answered by [`Response::Flags`].
    Flags,
    /// To write a kubeconfig with this token and nothing else that would tell who it is. Answered
    /// by [`Response::Kubeconfig`].
    User {
        /// The token.
        #[serde(with = "super::secret")]
        token: Token,
    },
    /// To post a TokenReview to the webhook, in each version. Answered by [`Response::Reviewed`].
    Review {
        /// The token.
        #[serde(with = "super::secret")]
        token: Token,
        /// The audiences to ask for; none by default, and then the field is left out.
        audiences: Vec<String>,
    },
    /// To make one request, and to say what came of it and why. Answered by [`Response::Diagnosed`].
    Diagnose {
        /// What the request shows.
        #[serde(with = "crate::diagnosis::secret")]
        shown: Shown,
    },
}

/// What a lab answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Response {
    /// How it is.
    Status(Box<Status>),
    /// How its webhook behaves now.
    Settings(Settings),
    /// It watches: what is decided about after this is told of.
    Watching,
    /// A token was decided about.
    Review(ReviewEvent),
    /// So many events are not told of.
    Missed(u64),
    /// It is done.
    Done,
    /// The flags of the running apiserver, `--name=value` each, sorted. What looks like a secret is
    /// replaced.
    Flags(Vec<String>),
    /// The kubeconfig's path, in the run folder.
    Kubeconfig(Utf8PathBuf),
    /// The answers: to `v1beta1`, then to `v1`.
    Reviewed(Vec<Reviewed>),
    /// What came of a request.
    Diagnosed(Box<Diagnosis>),
    /// It is not done.
    Failed(Failure),
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// The way out, where one is known.
    pub hint: Option<String>,
}

/// How a lab is, and all that is needed to use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// What it is called.
    pub name: LabName,
    /// What it runs on.
    pub backend: Backend,
    /// The version of Kubernetes.
    pub kubernetes: Version,
    /// The version of tokenlab that it is of.
    pub tokenlab: String,
    /// The process number of its supervisor.
    pub pid: u32,
    /// How long it has been there, in seconds.
    pub age_s: u64,
    /// The run folder.
    pub folder: Utf8PathBuf,
    /// kubectl of the same version.
    pub kubectl: Utf8PathBuf,
    /// The admin's kubeconfig.
    pub kubeconfig: Utf8PathBuf,
    /// Where the apiserver posts its TokenReviews.
    pub webhook: String,
    /// What the operator of a cluster that exists must do, for that to come true.
    pub operator: Option<Operator>,
    /// The flags of kube-apiserver that the lab was given, by `up` and since then, `--name=value` each.
    pub flags: Vec<String>,
    /// What it is made of, and how each part is.
    pub health: Vec<Part>,
    /// Where each log is.
    pub logs: BTreeMap<LogName, Vec<Log>>,
}

/// A part of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `etcd`, `kube-apiserver`, `webhook`, or a container's name.
    pub name: String,
    /// The process number, of one that is a process of this machine.
    pub pid: Option<u32>,
    /// Whether it is as it should be.
    pub healthy: bool,
    /// How it is: `running`, `ended: signal: 9 (SIGKILL)`.
    pub state: String,
}

/// A log of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogName {
    /// kube-apiserver's
    Apiserver,
    /// etcd's
    Etcd,
    /// The webhook's
    Webhook,
    /// The node's: of its container, and of the kubelet in it
    Node,
}

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Log {
    /// In a file.
    File(Utf8PathBuf),
    /// A program prints it.
    Command {
        /// The command line that prints what there is.
        print: Vec<String>,
        /// The one that goes on with what comes.
        follow: Vec<String>,
    },
    /// There is none, and why.
    None(String),
}
