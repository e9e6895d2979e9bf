//! A lab on any backend, with the verbs that all of them have.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt as _;
use semver::Version;
use tokenlab_webhook::{ApiVersion, Token};

use super::Backend;
use crate::assets::Wanted;
use crate::cluster::{Cluster, ClusterError, Wired};
use crate::existing::{Existing, ExistingError, Operator};
use crate::image::Image;
use crate::kubectl::Kubectl;
use crate::lab::{Lab, LabError};
use crate::progress::Progress;
use crate::reviewed::{Reviewed, question};
use crate::run_folder::{RunFolder, RunFolderError};

/// A running lab whose webhook knows everybody as the mock.
#[derive(Debug)]
pub enum MockLab {
    /// The webhook is served by the lab's owner.
    Bare(Lab),
    /// The webhook is the product's image, deployed.
    Cluster(Cluster),
    /// The webhook alone, in a cluster that is somebody else's; and what its operator must do.
    Existing(Box<Existing>, Operator),
}

/// What went wrong with a lab on some backend.
#[derive(Debug, thiserror::Error)]
pub enum MockLabError {
    /// On the bare one.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// On a real cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// In a cluster that is somebody else's.
    #[error(transparent)]
    Existing(#[from] ExistingError),
}

const NO_FLAGS: &str = "the flags of its apiserver are neither looked at nor changed";

fn not_ours(what: &'static str) -> MockLabError {
    ExistingError::NotOurs(what).into()
}

impl From<RunFolderError> for MockLabError {
    fn from(error: RunFolderError) -> Self {
        Self::Lab(error.into())
    }
}

impl MockLabError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Lab(error) => error.hint(),
            Self::Cluster(error) => error.hint(),
            Self::Existing(error) => error.hint(),
        }
    }
}

impl Backend {
    /// Starts a lab whose webhook knows everybody as the mock.
    pub async fn create(self, wanted: Wanted, progress: Progress) -> Result<MockLab, MockLabError> {
        Ok(match self {
            Self::Bare => {
                let builder = Lab::builder().kubernetes(wanted).progress(progress);
                MockLab::Bare(builder.start().await?)
            }
            Self::Kind | Self::K3s => {
                MockLab::Cluster(Cluster::with_mock(self, wanted, progress).await?)
            }
            Self::Existing => return Err(ClusterError::NotOurs.into()),
        })
    }
}

impl MockLab {
    /// Runs a test in the lab, and ends it. When the test fails or panics, what tells of it stays.
    pub async fn run<T, E: From<MockLabError> + fmt::Display>(
        mut self,
        test: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let outcome = AssertUnwindSafe(test(&mut self)).catch_unwind().await;
        match &outcome {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.keep(&error.to_string()).await,
            Err(_panic) => self.keep(&"a test panicked").await,
        }
        self.stop().await;
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Loads an image into the node. The bare backend has none, and nothing to run there.
    pub async fn load(&self, image: &Image) -> Result<(), MockLabError> {
        match self {
            Self::Bare(_) => Ok(()),
            Self::Cluster(cluster) => Ok(cluster.load(image).await?),
            Self::Existing(..) => Err(not_ours("no image is loaded into its nodes")),
        }
    }

    /// The file that tells the apiserver how to reach the webhook.
    pub fn webhook_config(&self) -> Result<String, MockLabError> {
        match self {
            Self::Bare(lab) => Ok(lab.webhook().kubeconfig().yaml()),
            Self::Cluster(cluster) => Ok(cluster.plan().webhook_config()?),
            Self::Existing(_, operator) => Ok(operator.config.clone()),
        }
    }

    /// Writes a file for the apiserver to read; returns its path there.
    pub async fn write(&self, name: &str, text: &str) -> Result<String, MockLabError> {
        match self {
            Self::Bare(lab) => Ok(lab.folder().write(name, text)?.into_string()),
            Self::Cluster(cluster) => {
                let path = cluster.plan().beside_the_config(name);
                cluster.write(&path, text).await?;
                Ok(path)
            }
            Self::Existing(..) => Err(not_ours("no file is written to its control plane")),
        }
    }

    /// Starts the apiserver anew with these flags (names without dashes; `None` takes one away),
    /// unless it has them already. When it does not come back with them, all is as it was.
    pub async fn set_flags(
        &mut self,
        flags: &[(&str, Option<&str>)],
    ) -> Result<Wired, MockLabError> {
        match self {
            Self::Bare(lab) => Ok(lab.set_flags(flags).await?),
            Self::Cluster(cluster) => Ok(cluster.set_flags(flags).await?),
            Self::Existing(..) => Err(not_ours(NO_FLAGS)),
        }
    }

    /// The flags of the running apiserver, `--name=value` each, as the system it runs on tells
    /// them; sorted.
    pub async fn running_flags(&self) -> Result<Vec<String>, MockLabError> {
        let mut flags = match self {
            Self::Bare(lab) => lab.running_flags()?,
            Self::Cluster(cluster) => cluster.running_flags().await?,
            Self::Existing(..) => return Err(not_ours(NO_FLAGS)),
        };
        flags.sort();
        Ok(flags)
    }

    /// Posts a TokenReview straight to the webhook, past the apiserver.
    pub async fn review(
        &self,
        version: ApiVersion,
        token: &Token,
        audiences: &[String],
    ) -> Result<Reviewed, MockLabError> {
        let question = question(version, token, audiences);
        let began = Instant::now();
        let answer = match self {
            Self::Bare(lab) => lab.webhook().post(question).await.map_err(LabError::from)?,
            Self::Cluster(cluster) => cluster.review(question).await?,
            Self::Existing(existing, _) => existing.post(question).await?,
        };
        Ok(Reviewed::new(
            version,
            token,
            audiences,
            &answer,
            began.elapsed(),
        ))
    }

    /// kubectl as the admin.
    pub fn kubectl(&self) -> Result<Kubectl, MockLabError> {
        Ok(match self {
            Self::Bare(lab) => lab.kubectl()?,
            Self::Cluster(cluster) => cluster.kubectl()?,
            Self::Existing(existing, _) => existing.kubectl()?,
        })
    }

    /// kubectl with this token, and nothing else that would tell who it is.
    pub fn kubectl_as(&self, token: &Token) -> Result<Kubectl, MockLabError> {
        Ok(match self {
            Self::Bare(lab) => lab.kubectl_as(token)?,
            Self::Cluster(cluster) => cluster.kubectl_as(token)?,
            Self::Existing(existing, _) => existing.kubectl_as(token)?,
        })
    }

    /// Leaves what tells of a failure, and says where it is; `why` is what failed.
    pub async fn keep(&self, why: &(dyn fmt::Display + Sync)) {
        match self {
            Self::Bare(lab) => lab.keep(),
            Self::Cluster(cluster) => cluster.keep(why).await,
            Self::Existing(existing, _) => existing.folder().keep(),
        }
    }

    /// The run folder.
    pub fn folder(&self) -> &RunFolder {
        match self {
            Self::Bare(lab) => lab.folder(),
            Self::Cluster(cluster) => cluster.plan().folder(),
            Self::Existing(existing, _) => existing.folder(),
        }
    }

    /// Its version of Kubernetes.
    pub fn version(&self) -> &Version {
        match self {
            Self::Bare(lab) => &lab.assets().version,
            Self::Cluster(cluster) => cluster.plan().version(),
            Self::Existing(existing, _) => existing.version(),
        }
    }

    /// Where the apiserver posts its TokenReviews.
    pub fn webhook_url(&self) -> Result<String, MockLabError> {
        Ok(match self {
            Self::Bare(lab) => lab.webhook().url(),
            Self::Cluster(cluster) => cluster.webhook_url()?,
            Self::Existing(_, operator) => operator.url.clone(),
        })
    }

    /// Ends it all, at once.
    pub async fn stop(self) {
        match self {
            Self::Bare(lab) => lab.stop().await,
            Self::Cluster(cluster) => cluster.stop().await,
            Self::Existing(existing, _) => existing.stop().await,
        }
    }

    /// Ends it in order, and by force what does not end so. A cluster's node is removed as it is:
    /// nobody reads what it would still store.
    pub async fn end_gracefully(self) {
        match self {
            Self::Bare(lab) => lab.end_gracefully().await,
            Self::Cluster(cluster) => cluster.stop().await,
            Self::Existing(existing, _) => existing.stop().await,
        }
    }
}
