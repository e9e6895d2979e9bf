//! How the apiserver finds the webhook's Service, and that the node does.

use std::fmt;
use std::net::{AddrParseError, IpAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Cluster, ClusterError};
use crate::assets::chain;
use crate::docker::DockerError;
use crate::kubeconfig::Kubeconfig;
use crate::tool::complaint;
use crate::wait::{Poll, Probe, WaitError, until};
use crate::webhook::{Answer, Elsewhere, PostError, Seen, post_through};

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

/// How long one attempt may take, of many.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The first one to a Service. Before kube-proxy has its rules for it nobody answers there at all, and
/// that is often so for a moment only.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);

/// Why the node was not answered.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// In words.
    pub(crate) said: String,
    /// What it was, where there was a connection.
    pub(crate) error: Option<PostError>,
}

const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"is anybody there?"}}"#;

impl Cluster {
    /// Posts a TokenReview to the webhook from the node, as the apiserver will.
    pub(super) async fn reached(&self, address: IpAddr) -> Result<String, ClusterError> {
        self.posted(self.plan.config_at(Some(address)), FIRST_PATIENCE)
            .await
    }

    /// The same to one that runs elsewhere; not asked at all when nobody wants to know.
    pub(super) async fn reached_elsewhere(
        &self,
        elsewhere: &Elsewhere,
    ) -> Result<String, ClusterError> {
        if !elsewhere.is_probed() {
            return Ok(String::new());
        }
        self.posted(elsewhere.kubeconfig(), PATIENCE).await
    }

    /// From here, over a connection that the node makes: so all of it is the apiserver's but for
    /// the program, and a node needs no client that shows a certificate.
    ///
    /// The first attempt may take as long as `first`, a later one as all before it together: a webhook
    /// that is slow is heard in the end.
    pub(super) async fn posted(
        &self,
        config: Kubeconfig,
        first: Duration,
    ) -> Result<String, ClusterError> {
        let seen = Seen::default();
        let began = Instant::now();
        let look = async || {
            let patience = began.elapsed().clamp(first, PATIENCE);
            match self.post_once(&config, REVIEW, &seen, patience).await {
                Ok(Ok(answer)) if answer.status.is_success() => Probe::Ready(answer.body),
                Ok(Ok(answer)) => {
                    Probe::NotYet(format!("{}: {}", answer.status, answer.body).into())
                }
                Ok(Err(unanswered)) => Probe::NotYet(unanswered.said.into()),
                Err(error) => Probe::Fatal(error),
            }
        };
        match until("the node reaches the webhook", POLL, look).await {
            Ok(answer) => Ok(answer),
            Err(WaitError::Fatal(error)) => Err(error.into()),
            Err(error @ WaitError::TimedOut { .. }) => Err(ClusterError::Unreachable {
                seen: error.to_string(),
            }),
        }
    }

    /// The answer, or why there is none.
    pub(crate) async fn post_once(
        &self,
        config: &Kubeconfig,
        body: &str,
        seen: &Seen,
        patience: Duration,
    ) -> Result<Result<Answer, Unanswered>, DockerError> {
        let url = Url::parse(&config.server).expect("must be a URL");
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let (stream, errors) = self.node.connect(host, port)?;
        let posted = post_through(stream, config, body.to_owned(), seen);
        Ok(match tokio::time::timeout(patience, posted).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // The node's own words, where it made no connection.
                let said = tokio::time::timeout(PATIENCE, complaint(errors)).await;
                Err(match said.unwrap_or_default() {
                    said if said.is_empty() => Unanswered {
                        said: chain(&error),
                        error: Some(error),
                    },
                    said => Unanswered { said, error: None },
                })
            }
            Err(_elapsed) => Err(Unanswered {
                said: format!("no answer within {patience:?}"),
                error: None,
            }),
        })
    }
}
