//! How the apiserver finds the webhook's Service, and that the node does.

use std::fmt;
use std::net::{AddrParseError, IpAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokenlab_webhook::Token;
use url::Url;

use super::{Cluster, ClusterError, ClusterPlan};
use crate::docker::DockerError;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::manifests::Manifests;
use crate::node::FOLDER;
use crate::tool::ToolError;
use crate::wait::{Poll, Probe, WaitError, until};
use crate::webhook::Elsewhere;

/// How the apiserver finds the webhook's Service. It does not ask the cluster's DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// By the Service's address, and the name that the certificate must have
    #[default]
    ClusterIp,
    /// By its name, made resolvable for the apiserver: the tutorial's way
    Dns,
}

/// The address of the webhook's Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceAddress {
    /// One that is known beforehand, in the part of the service range that is kept for those
    /// who ask.
    #[default]
    Usual,
    /// This one.
    Fixed(IpAddr),
    /// The one that the cluster chooses; not known before the webhook is deployed.
    Discovered,
}

/// It is neither an address nor a word that is known.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is neither an IP address nor `auto`")]
pub struct ServiceAddressError {
    text: String,
    source: AddrParseError,
}

impl FromStr for ServiceAddress {
    type Err = ServiceAddressError;

    /// `auto`, or an address.
    fn from_str(text: &str) -> Result<Self, ServiceAddressError> {
        match text {
            "auto" => Ok(Self::Discovered),
            _ => match text.parse() {
                Ok(address) => Ok(Self::Fixed(address)),
                Err(source) => Err(ServiceAddressError {
                    text: text.to_owned(),
                    source,
                }),
            },
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ClusterIp => "cluster-ip",
            Self::Dns => "dns",
        })
    }
}

const POLL: Poll = Poll {
    every: Duration::from_millis(100),
    within: Duration::from_secs(60),
};

const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"is anybody there?"}}"#;

impl Cluster {
    /// Posts a TokenReview to the webhook from the node, as the apiserver will.
    pub(super) async fn reached(&self, address: IpAddr) -> Result<String, ClusterError> {
        self.posted(self.plan.reached_by(address), REVIEW).await
    }

    /// The same to one that runs elsewhere; not asked at all when nobody wants to know.
    pub(super) async fn reached_elsewhere(
        &self,
        elsewhere: &Elsewhere,
    ) -> Result<String, ClusterError> {
        if !elsewhere.is_probed() {
            return Ok(String::new());
        }
        self.posted(elsewhere.kubeconfig(), REVIEW).await
    }

    /// By the node's kubectl: every node has one, and few have curl.
    pub(super) async fn posted(
        &self,
        config: Kubeconfig,
        body: &str,
    ) -> Result<String, ClusterError> {
        let url = Url::parse(&config.server).expect("must be a URL");
        let path_at = config.server.len() - url.path().len();
        let identity = match config.identity {
            // kubectl asks for a user and a password when it has nothing; nobody looks at this.
            Identity::Anonymous => Identity::Token(Token::from("anybody")),
            identity => identity,
        };
        let kubeconfig = Kubeconfig {
            server: config.server[..path_at].to_owned(),
            identity,
            ..config
        };
        let path = format!("{FOLDER}/reach.kubeconfig");
        self.node.write(&path, &kubeconfig.yaml()).await?;
        let kubeconfig = format!("--kubeconfig={path}");
        #[rustfmt::skip]
        let args = [
            "env", "-u", "HTTPS_PROXY", "-u", "https_proxy", "kubectl", &kubeconfig,
            "--request-timeout=5s", "create", "--raw", url.path(), "--filename=-",
        ];
        let look = async || match self.node.look(&args, body.as_bytes()).await {
            Ok(answer) if serde_json::from_str::<serde_json::Value>(&answer).is_ok() => {
                Probe::Ready(answer)
            }
            Ok(answer) => Probe::NotYet(answer.into()),
            Err(DockerError::Tool(error @ ToolError::Failed { .. })) => {
                Probe::NotYet(error.said().to_owned().into())
            }
            Err(error) => Probe::Fatal(error),
        };
        match until("the node reaches the webhook", POLL, look).await {
            Ok(answer) => Ok(answer),
            Err(WaitError::Fatal(error)) => Err(error.into()),
            Err(error @ WaitError::TimedOut { .. }) => Err(ClusterError::Unreachable {
                seen: error.to_string(),
            }),
        }
    }
}

impl ClusterPlan {
    /// How the node reaches the webhook's Service at this address.
    pub(super) fn reached_by(&self, address: IpAddr) -> Kubeconfig {
        let manifests = Manifests {
            cluster_ip: Some(address),
            ..self.manifests.clone()
        };
        self.config_of(&manifests)
    }
}
