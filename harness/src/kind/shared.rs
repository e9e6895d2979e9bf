//! One cluster for all tests of a process.

use tokio::sync::OnceCell;

use super::{KindError, KindLab, Wire};
use crate::assets::Wanted;
use crate::image::Image;
use crate::progress::Progress;

static LAB: OnceCell<Result<KindLab, String>> = OnceCell::const_new();

impl KindLab {
    /// The cluster that all tests of this process share: the mock's image deployed, its apiserver
    /// wired from the beginning. The first who asks starts it, the guardian ends it.
    ///
    /// # Panics
    /// When it cannot be started: with the whole error, for every test that asks.
    pub async fn shared(wanted: Wanted) -> &'static Self {
        let started = LAB.get_or_init(|| async {
            // The first one's advice is enough: all that ask get the same text.
            start(wanted).await.map_err(|error| match error.hint() {
                Some(hint) => format!("{error}\n\nhint: {hint}"),
                None => error.to_string(),
            })
        });
        match started.await {
            Ok(lab) => lab,
            Err(report) => panic!("the shared cluster must start: {report}"),
        }
    }
}

async fn start(wanted: Wanted) -> Result<KindLab, KindError> {
    let progress = Progress::stderr();
    let image = Image::builder().progress(progress.clone()).build().await?;
    let builder = KindLab::builder().kubernetes(wanted).wire(Wire::Create);
    let lab = builder.progress(progress).plan().await?.start().await?;
    lab.load(&image).await?;
    lab.deploy().await?;
    Ok(lab)
}
