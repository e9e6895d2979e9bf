//! A cluster whose webhook is the mock: for a test, or for all tests of a process.

use tokio::sync::OnceCell;

use super::{Cluster, ClusterError, Wire};
use crate::assets::{Wanted, chain};
use crate::backend::Backend;
use crate::image::Image;
use crate::progress::Progress;

static LAB: OnceCell<Result<Cluster, String>> = OnceCell::const_new();

impl Cluster {
    /// The mock's image deployed, the apiserver wired from the beginning.
    pub async fn with_mock(
        backend: Backend,
        wanted: Wanted,
        progress: Progress,
    ) -> Result<Self, ClusterError> {
        let builder = Self::builder().backend(backend).kubernetes(wanted);
        let builder = builder.wire(Wire::Create).progress(progress.clone());
        let plan = builder.plan().await?;
        let image = Image::builder().progress(progress).build().await?;
        let cluster = plan.start().await?;
        let deployed = async {
            cluster.load(&image).await?;
            cluster.deploy().await
        };
        match deployed.await {
            Ok(_answer) => Ok(cluster),
            Err(error) => {
                cluster.keep(&chain(&error)).await;
                Err(error)
            }
        }
    }

    /// The same for all tests of this process. The first who asks starts it, the guardian ends
    /// it.
    ///
    /// # Panics
    /// When it cannot be started: with the whole error, for every test that asks.
    pub async fn shared(backend: Backend, wanted: Wanted) -> &'static Self {
        let started = LAB.get_or_init(|| async {
            let started = Self::with_mock(backend, wanted, Progress::stderr()).await;
            // The first one's advice is enough: all that ask get the same text.
            started.map_err(|error| match error.hint() {
                Some(hint) => format!("{}\n\nhint: {hint}", chain(&error)),
                None => chain(&error),
            })
        });
        match started.await {
            Ok(lab) => lab,
            Err(report) => panic!("the shared cluster must start: {report}"),
        }
    }
}
