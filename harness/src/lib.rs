//! Real Kubernetes control planes for tests of webhook token authentication.
//!
//! A [`Lab`] is one control plane (etcd and kube-apiserver as child processes on loopback), one
//! webhook wired into it, and one folder that goes with them:
//!
//! ```no_run
//! use tokenlab_harness::{Lab, LabError};
//! use tokenlab_webhook::Token;
//!
//! # async fn example() -> Result<(), LabError> {
//! Lab::builder().run(async |lab| {
//!     let output = lab.kubectl_as(&Token::from("any token"))?.run(["get", "ns"]).await?;
//!     assert!(output.stderr.contains(r#"User "mock" cannot list resource "namespaces""#));
//!     Ok::<_, LabError>(())
//! })
//! .await
//! # }
//! ```
//!
//! The webhook answers as the [`Authenticator`](tokenlab_webhook::Authenticator) does that the
//! builder is given: the mock by default, [`Scripted`] to say what each token shall get, or
//! your own. Many tests share one control plane by [`SharedLab`].
//!
//! Whatever way a test ends, panics and `kill -9` included, no process and no folder is left
//! (see [`Guardian`]); a failed one keeps its folder and says where it is.

pub mod assets;
pub mod journal;
pub mod progress;
pub mod strays;

mod backend;
mod backup;
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
mod run_folder;
mod runtime;
mod scripted;
mod shared;
mod tool;
mod wait;
mod webhook;

pub use backend::{BACKEND, Backend, BackendError, MockLab, MockLabError, UnknownBackend};
pub use cluster::{
    Cluster, ClusterBuilder, ClusterError, ClusterPlan, ClusterWebhook, DeploymentError, Reach,
    ServiceAddress, ServiceAddressError, Wire, Wired,
};
pub use control_plane::{ControlPlane, ControlPlaneError, ControlPlanePlan};
pub use docker::DockerError;
pub use existing::{Existing, ExistingCluster, ExistingError, Operator};
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
pub use kubeconfig::{AdminError, Identity, Kubeconfig};
pub use kubectl::{Kubectl, KubectlError, Output};
pub use lab::{CONFIG_FILE, CONFIG_FILE_FLAG, Lab, LabBuilder, LabError, LabPlan, VERSION_FLAG};
pub use manifests::{ForeignContainer, LABEL, Manifests};
pub use node_image::{NodeImage, NodeImageBuilt, NodeImageError};
pub use ports::Port;
pub use process::{Plan, Process, StartError};
pub use run_folder::{KEEP, RunFolder, RunFolderError};
pub use scripted::{Call, Scripted, fresh_token};
pub use shared::{SharedConfig, SharedLab};
pub use tool::ToolError;
pub use wait::{Poll, Probe, WaitError, until};
pub use webhook::{
    Answer, CommandError, CredentialError, Elsewhere, Fault, PostError, SERVICE_NAME,
    ServerNameError, Webhook, WebhookCommand, WebhookError, WebhookPath, WebhookPathError,
    WebhookSource, WebhookUrl, WebhookUrlError, Words, WordsError,
};
