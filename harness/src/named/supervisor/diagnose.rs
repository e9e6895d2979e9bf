//! One request, and why it came to what it did.

use tokio::net::unix::OwnedWriteHalf;

use super::{Response, Supervisor, watch};
use crate::diagnosis::Shown;

/// Makes it, and looks at all that there is to see, unless the client is gone before.
pub(super) async fn diagnose(
    supervisor: &Supervisor,
    shown: &Shown,
    write: &OwnedWriteHalf,
) -> Option<Response> {
    let look = async {
        let lab = supervisor.lab.read().await;
        lab.diagnose(shown).await
    };
    tokio::select! {
        diagnosis = look => Some(Response::Diagnosed(Box::new(diagnosis))),
        () = watch::gone(write) => None,
    }
}
