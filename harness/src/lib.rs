//! Real Kubernetes control planes for tests of webhook token authentication.
//!
//! When kube-apiserver meets a bearer token that it does not know, it can ask a webhook whose it
//! is: it posts a `TokenReview` and believes the answer. This crate starts a real etcd and a real
//! kube-apiserver, wires a webhook into them, and ends all of it, in two to three seconds and
//! without a container engine. What a test then sees is what a user of a cluster would see.
//!
//! # The five-line test
//!
//! A [`Lab`] is one control plane (child processes on loopback), one webhook, and one folder that
//! goes with them:
//!
//! ```no_run
//! use tokenlab_harness::{Lab, LabError};
//! use tokenlab_webhook::Token;
//!
//! # async fn example() -> Result<(), LabError> {
//! Lab::builder().run(async |lab| {
//!     let output = lab.kubectl_as(&Token::from("any-token"))?.run(["get", "ns"]).await?;
//!     assert!(output.stderr.contains(r#"User "mock" cannot list resource "namespaces""#));
//!     Ok::<_, LabError>(())
//! })
//! .await
//! # }
//! ```
//!
//! Whatever way a test ends, panics and `kill -9` included, no process and no folder is left
//! (see [`Guardian`]); a failed one keeps its folder (logs, kubeconfigs, command lines) and says
//! where it is. Of that, `diagnostics` is for others to read: tokens and keys are redacted there.
//!
//! # Your own authenticator
//!
//! The webhook answers as the [`Authenticator`](tokenlab_webhook::Authenticator) does that the
//! builder is given; the mock, which knows everybody as `mock`, is the default.
//!
//! ```no_run
//! use tokenlab_harness::{Lab, LabError};
//! use tokenlab_webhook::{Authenticator, Decision, Review, Token, User};
//!
//! struct Greeter;
//!
//! impl Authenticator for Greeter {
//!     async fn authenticate(&self, review: &Review) -> Decision {
//!         match review.token.expose().strip_prefix("hello-") {
//!             Some(name) => Decision::authenticated(User::new(name)),
//!             None => Decision::Refused,
//!         }
//!     }
//! }
//!
//! # async fn example() -> Result<(), LabError> {
//! Lab::builder().authenticator(Greeter).run(async |lab| {
//!     let output = lab.kubectl_as(&Token::from("hello-ann"))?.run(["auth", "whoami"]).await?;
//!     assert!(output.stdout.contains("ann"));
//!     Ok::<_, LabError>(())
//! })
//! .await
//! # }
//! ```
//!
//! The builder also takes the version of Kubernetes, the version of TokenReview that the apiserver
//! speaks, and any [flag](LabBuilder::flag) of kube-apiserver; a running one is
//! [started anew](Lab::set_flags) with others, or as it was when it does not come back with them.
//!
//! # Your own webhook
//!
//! One that is a program already, in whatever language, is started and ended with the lab:
//!
//! ```no_run
//! use tokenlab_harness::{Lab, LabError, WebhookCommand};
//! use tokenlab_webhook::Token;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let words = "./my-webhook --listen {address} --tls-cert {cert} --tls-key {key}".parse()?;
//! Lab::builder().webhook(WebhookCommand::new(words)).run(async |lab| {
//!     let output = lab.kubectl_as(&Token::from("somebodys"))?.run(["auth", "whoami"]).await?;
//!     println!("{output}");
//!     Ok::<_, LabError>(())
//! })
//! .await?;
//! # Ok(())
//! # }
//! ```
//!
//! One that runs already, [`Elsewhere`], is only asked. What the webhook itself makes of a token,
//! past the apiserver, [`MockLab::review`] tells.
//!
//! # One control plane for many tests
//!
//! A hundred tests cannot each have one. They share a [`SharedLab`], and stay apart by their
//! tokens: its webhook is [`Scripted`], each test draws a token of its own, says what it shall get,
//! and reads what the webhook was asked about it.
//!
//! ```no_run
//! use tokenlab_harness::{LabError, SharedConfig, SharedLab};
//! use tokenlab_webhook::Decision;
//!
//! # async fn example() -> Result<(), LabError> {
//! let lab = SharedLab::get(SharedConfig::default()).await;
//! let token = lab.scripted().token(Decision::Refused);
//! let output = lab.kubectl_as(&token)?.run(["auth", "whoami"]).await?;
//! assert!(output.stderr.contains("(Unauthorized)"));
//! assert_eq!(lab.scripted().calls(&token).len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # A webhook that fails
//!
//! For a token there is not only a decision: an [`Act`] is an answer of any form ([`RawAnswer`]), late,
//! or none, and a [`Play`] is several of them in turn. Connections break for everybody
//! ([`Webhook::break_connections`]).
//!
//! ```no_run
//! use std::time::Duration;
//! use http::StatusCode;
//! use tokenlab_harness::{
//!     Act, Break, ConnectionFault, Lab, LabError, RawAnswer, Scripted, fresh_token,
//! };
//! use tokenlab_webhook::{Decision, User};
//!
//! # async fn example() -> Result<(), LabError> {
//! let scripted = Scripted::new();
//! Lab::builder().webhook(scripted.clone()).run(async |lab| {
//!     let ann = Decision::authenticated(User::new("ann"));
//!     let overloaded = RawAnswer::new(StatusCode::TOO_MANY_REQUESTS, "later");
//!     let token = scripted.token(Act::answer(overloaded).times(2).then(ann.clone()));
//!     let output = lab.kubectl_as(&token)?.run(["auth", "whoami"]).await?;
//!     assert!(output.stdout.contains("ann"));
//!     assert_eq!(scripted.calls(&token).len(), 3);
//!
//!     let late = scripted.token(Act::decide(ann).after(Duration::from_secs(2)));
//!     lab.kubectl_as(&late)?.run(["get", "ns"]).await?;
//!
//!     let reset = ConnectionFault::AtRequest(Break::Reset);
//!     lab.webhook().break_connections(Some(reset)).await?;
//!     let nobody = lab.kubectl_as(&fresh_token())?;
//!     let output = nobody.run(["auth", "whoami"]).await?;
//!     assert!(output.stderr.contains("(Unauthorized)"));
//!     Ok::<_, LabError>(())
//! })
//! .await
//! # }
//! ```
//!
//! A second kube-apiserver on the same etcd, with a memory of its own, is a [`Peer`].
//!
//! # Is a webhook sound?
//!
//! [`Checks`] puts anybody's webhook to the test, given the kubeconfig by which kube-apiserver reaches
//! it: each of [`CHECKS`] says what it looks for, why, and where that is written.
//!
//! ```no_run
//! use tokenlab_harness::{Checks, Kubeconfig};
//! use tokenlab_webhook::Token;
//!
//! # async fn example(webhook_config: Kubeconfig) {
//! let checks = Checks::against(&webhook_config).known(Token::from("somebodys"));
//! for finding in checks.run().await {
//!     println!("{finding}");
//! }
//! # }
//! ```
//!
//! # Real clusters
//!
//! A [`Cluster`] is the same on one node of kind or k3s, which needs Docker: the webhook's
//! [`Image`] loaded, its [`Manifests`] applied, the apiserver's flag patched. [`Backend`] chooses,
//! and [`MockLab`] has the verbs that all of them have: a test that needs no more than the mock
//! runs on each.
//!
//! # Why a token is not known
//!
//! To the user every failure is the same 401. [`Lab::diagnose`] makes one request, looks at the
//! apiserver's flags, log and metrics, at the webhook's file, record and certificate, and names the
//! [`Cause`].
//!
//! # Labs with names
//!
//! [`named`] has labs that stay when who started them has ended: what the program's `tokenlab up`
//! starts, and its other verbs use. [`named::Client`] asks one.
//!
//! # Features
//!
//! Both are on by default; a package of tests does best with `default-features = false`.
//!
//! - `cli`: the program `tokenlab`.
//! - `k3s`: clusters of k3s, which testcontainers starts.
//!
//! # Environment
//!
//! | variable | what for |
//! |---|---|
//! | `LAB_KUBERNETES` | the version of Kubernetes: `1.37` (the newest patch) or `v1.37.2` |
//! | `LAB_BACKEND` | what [`Backend::from_env`] says: `bare`, `kind`, `k3s` or `existing` |
//! | `LAB_KEEP` | `1`: every run folder is kept |
//! | `TEST_ASSET_ETCD`, `TEST_ASSET_KUBE_APISERVER`, `TEST_ASSET_KUBECTL` | one program each |
//! | `KUBEBUILDER_ASSETS` | a folder with all three, as for envtest |
//! | `LAB_ENVTEST_INDEX` | another index to download them by |
//! | `LAB_GO` | the `go` that builds them, if not the one in `PATH` |
//! | `LAB_K3S_IMAGE` | the image of k3s |
//! | `LAB_DEBIAN_MIRROR` | where the packages of a node's image come from |
//!
//! Where programs come from, and in which order that is looked for, is told in [`assets`].

/// Its examples are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod assets;
pub mod diagnosis;
pub mod journal;
pub mod progress;
pub mod strays;

mod backend;
mod backup;
mod checks;
mod cluster;
mod control_plane;
mod diagnostics;
mod digest;
mod docker;
mod existing;
mod flags;
mod group;
mod guardian;
mod image;
mod k3s;
mod kind;
mod kubeconfig;
mod kubectl;
mod lab;
mod log_tail;
mod manifests;
pub mod named;
mod node;
mod node_image;
mod owner;
mod ports;
mod process;
mod reviewed;
mod run_folder;
mod runtime;
mod scripted;
mod shared;
#[cfg(test)]
mod stand_in;
mod tool;
mod wait;
mod webhook;

pub use backend::{BACKEND, Backend, BackendError, MockLab, MockLabError, UnknownBackend};
pub use checks::{CHECKS, Check, Checks, Finding, Outcome as CheckOutcome, Severity};
pub use cluster::{
    Cluster, ClusterBuilder, ClusterError, ClusterPlan, ClusterWebhook, DeploymentError, Reach,
    ServiceAddress, ServiceAddressError, Wire, Wired,
};
pub use control_plane::{ControlPlane, ControlPlaneError, ControlPlanePlan, Peer};
pub use diagnosis::{Cause, Diagnosis, LogMark, Shown, Unauthenticated};
pub use docker::DockerError;
pub use existing::{Existing, ExistingCluster, ExistingError, Operator, Outside};
pub use flags::Flags;
pub use guardian::Guardian;
pub use image::{
    Architecture, ForeignImage, ForeignImageError, IMAGE_NAME, Image, ImageBuildError,
    ImageBuilder, ImageError, ImageName, ImageNameError, ProgramError,
};
#[cfg(feature = "k3s")]
pub use k3s::K3sImage;
pub use k3s::{IMAGE as K3S_IMAGE, K3sError};
pub use kind::{ManifestError, WiringError};
pub use kubeconfig::{AdminError, Identity, Kubeconfig, client};
pub use kubectl::{Kubectl, KubectlError, Output};
pub use lab::{
    CONFIG_FILE, CONFIG_FILE_FLAG, FlagsError, KEPT_FLAGS, Lab, LabBuilder, LabError, LabPlan,
    VERSION_FLAG,
};
pub use manifests::{ForeignContainer, LABEL, Manifests};
pub use node_image::{NodeImage, NodeImageBuilt, NodeImageError};
pub use ports::Port;
pub use process::{Plan, Process, StartError};
pub use reviewed::{Reviewed, Verdict};
pub use run_folder::{KEEP, RunFolder, RunFolderError};
pub use scripted::{Act, Call, Play, Posted, RawAnswer, Scripted, fresh_token};
pub use shared::{SharedConfig, SharedLab};
pub use tool::ToolError;
pub use wait::{Poll, Probe, WaitError, until};
pub use webhook::{
    Answer, Break, CommandError, ConnectionFault, CredentialError, Elsewhere, Fault, PostError,
    SERVICE_NAME, ServerNameError, Webhook, WebhookCommand, WebhookError, WebhookPath,
    WebhookPathError, WebhookSource, WebhookUrl, WebhookUrlError, Words, WordsError,
};
