//! A lab from its spec: the one place that knows how each kind is started.

use tokenlab_webhook::Mock;

use super::set::Switchboard;
use super::{Claim, Failure, Spec};
use crate::backend::{Backend, MockLab, MockLabError};
use crate::cluster::{Cluster, Wire};
use crate::existing::Existing;
use crate::image::Image;
use crate::lab::Lab;
use crate::named::webhook::SpecWebhook;
use crate::progress::Progress;
use crate::scripted::Scripted;

/// A lab that is ready.
pub(super) struct Started {
    pub(super) lab: MockLab,
    /// Of a webhook that is served here.
    pub(super) webhook: Option<Switchboard>,
}

/// Starts the lab, and writes down what there is of it before it is made. Dropped, it takes it all
/// away.
pub(super) async fn start(
    spec: &Spec,
    claim: &mut Claim,
    progress: Progress,
) -> Result<Started, Failure> {
    spec.check()?;
    match spec.backend {
        Backend::Bare => bare(spec, claim, progress).await,
        Backend::Kind | Backend::K3s => Ok(Started {
            lab: cluster(spec, claim, progress).await?,
            webhook: None,
        }),
        Backend::Existing => Ok(Started {
            lab: existing(spec, claim, progress).await?,
            webhook: None,
        }),
    }
}

async fn bare(spec: &Spec, claim: &mut Claim, progress: Progress) -> Result<Started, Failure> {
    let scripted = Scripted::over(Mock);
    let foreign = spec.webhook.as_ref().and_then(SpecWebhook::of_processes);
    let is_ours = foreign.is_none();
    let mut builder = Lab::builder()
        .kubernetes(spec.kubernetes.clone())
        .webhook(foreign.unwrap_or_else(|| scripted.clone().into()))
        .audit(true)
        .progress(progress);
    for (name, value) in &spec.flags {
        builder = builder.flag(name.clone(), value);
    }
    let plan = builder.plan().await.map_err(MockLabError::from)?;
    claim.update(|record| {
        record.folder = Some(plan.folder().path().to_owned());
        record.kubernetes = Some(plan.assets().version.clone());
    })?;
    let lab = plan.start().await.map_err(MockLabError::from)?;
    // Interrupted, it leaves nothing.
    lab.discard_on_drop();
    let journal = lab.webhook().journal().clone();
    Ok(Started {
        lab: MockLab::Bare(lab),
        webhook: is_ours.then_some(Switchboard { scripted, journal }),
    })
}

async fn cluster(spec: &Spec, claim: &mut Claim, progress: Progress) -> Result<MockLab, Failure> {
    let mut builder = Cluster::builder()
        .backend(spec.backend)
        .kubernetes(spec.kubernetes.clone())
        .wire(spec.wire)
        .reach(spec.reach)
        .service_address(spec.service_address)
        .agent(spec.agent)
        .progress(progress.clone());
    let foreign = spec.webhook.as_ref().and_then(SpecWebhook::of_a_cluster);
    if let Some(webhook) = foreign {
        builder = builder.webhook(webhook.clone());
    }
    let plan = builder.plan().await.map_err(MockLabError::from)?;
    claim.update(|record| {
        record.folder = Some(plan.folder().path().to_owned());
        record.kubernetes = Some(plan.version().clone());
        record.cluster = Some(plan.name().to_owned());
    })?;
    let image = if foreign.is_none() {
        let image = Image::builder().progress(progress).build().await;
        Some(image.map_err(|error| Failure::of(&error, error.hint()))?)
    } else {
        None
    };
    let cluster = plan.start().await.map_err(MockLabError::from)?;
    let wired = async {
        match &image {
            Some(image) => cluster.load(image).await?,
            None => cluster.load_webhook().await?,
        }
        cluster.deploy().await?;
        if spec.wire == Wire::Patch {
            cluster.wire().await?;
        }
        let flags = spec.flags.iter();
        let flags: Vec<_> = flags
            .map(|(name, value)| (&**name, Some(&**value)))
            .collect();
        if !flags.is_empty() {
            cluster.set_flags(&flags).await?;
        }
        Ok::<_, crate::cluster::ClusterError>(())
    };
    match wired.await {
        Ok(()) => Ok(MockLab::Cluster(cluster)),
        Err(error) => {
            cluster.keep(&crate::assets::chain(&error)).await;
            cluster.stop().await;
            Err(MockLabError::from(error).into())
        }
    }
}

async fn existing(spec: &Spec, claim: &mut Claim, progress: Progress) -> Result<MockLab, Failure> {
    let cluster = spec.existing.as_ref().ok_or_else(|| Failure {
        message: "it is not said which cluster exists".to_owned(),
        hint: None,
    })?;
    let foreign = spec.webhook.as_ref();
    let foreign = foreign.and_then(SpecWebhook::of_an_existing_cluster);
    let plan = Existing::plan(cluster, foreign).await;
    let plan = plan.map_err(MockLabError::from)?;
    claim.update(|record| {
        record.folder = Some(plan.folder().path().to_owned());
        record.kubernetes = Some(plan.version().clone());
    })?;
    let existing = plan.apply(&progress).await.map_err(MockLabError::from)?;
    match existing.operator().await {
        Ok(operator) => Ok(MockLab::Existing(Box::new(existing), operator)),
        Err(error) => {
            existing.stop().await;
            Err(MockLabError::from(error).into())
        }
    }
}
