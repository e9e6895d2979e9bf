//! A cluster whose webhook is somebody else's: an image of theirs, or one that runs elsewhere.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::reach::PATIENCE;
use super::{Cluster, ClusterError, ClusterPlan};
use crate::image::{ForeignImage, ImageName};

use crate::manifests::ForeignContainer;
use crate::webhook::{Answer, Elsewhere, Seen};

/// Somebody else's webhook, as a cluster comes by it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClusterWebhook {
    /// It is deployed into the cluster, as the product's own is.
    Image(ForeignImage, ForeignContainer),
    /// It runs already, where the node reaches it, and is left alone.
    Elsewhere(Elsewhere),
}

impl ClusterWebhook {
    /// Fails when a node cannot reach it: what is loopback to us is another one there.
    pub(super) fn check(&self) -> Result<(), ClusterError> {
        let Self::Elsewhere(elsewhere) = self else {
            return Ok(());
        };
        let url = elsewhere.kubeconfig().server;
        let loopback = match Url::parse(&url).as_ref().ok().and_then(Url::host) {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if loopback {
            return Err(ClusterError::Loopback { url });
        }
        Ok(())
    }
}

impl ClusterPlan {
    /// The name of the image of somebody else's that is deployed.
    pub fn webhook_image(&self) -> Option<&ImageName> {
        self.foreign_image().map(ForeignImage::name)
    }

    /// The image of somebody else's that is deployed.
    pub(super) fn foreign_image(&self) -> Option<&ForeignImage> {
        match self.webhook.as_deref() {
            Some(ClusterWebhook::Image(image, _)) => Some(image),
            Some(ClusterWebhook::Elsewhere(_)) | None => None,
        }
    }

    /// The webhook that is not deployed.
    pub(super) fn elsewhere(&self) -> Option<&Elsewhere> {
        match self.webhook.as_deref() {
            Some(ClusterWebhook::Elsewhere(elsewhere)) => Some(elsewhere),
            Some(ClusterWebhook::Image(..)) | None => None,
        }
    }
}

impl Cluster {
    /// Loads the image that the builder was told of into the node: what Docker has is saved first.
    /// Nothing is done when there is none.
    pub async fn load_webhook(&self) -> Result<(), ClusterError> {
        let plan = &self.plan;
        let Some(image) = plan.foreign_image() else {
            return Ok(());
        };
        let loaded = async {
            let file = plan.folder.file("webhook-image.tar");
            let archive = image.archive(&plan.docker, file).await?;
            let digest = crate::digest::sha256(image.name().to_string().as_bytes());
            plan.distribution
                .load(plan, &self.node, &digest, &archive)
                .await
        };
        let title = format!("loading {} into the node", image.name());
        plan.progress.step(&title, loaded).await
    }

    /// Posts a body to the webhook, and returns what it answers: one that is deployed is asked over
    /// a connection of the node's, as the apiserver asks it; one that runs elsewhere from here.
    pub async fn review(&self, body: String) -> Result<Answer, ClusterError> {
        if let Some(elsewhere) = self.plan.elsewhere() {
            return Ok(elsewhere.post(body).await?);
        }
        let address = *self.address.get().ok_or(ClusterError::UnknownAddress)?;
        let answer = self
            .post_once(
                &self.plan.config_at(Some(address)),
                &body,
                &Seen::default(),
                PATIENCE,
            )
            .await?;
        answer.map_err(|unanswered| ClusterError::Unreachable {
            seen: unanswered.said,
        })
    }
}
