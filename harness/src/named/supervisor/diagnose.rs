//! One request, and why it came to what it did.

use super::{Response, Supervisor};
use crate::diagnosis::Shown;

/// Makes it, and looks at all that there is to see.
pub(super) async fn diagnose(supervisor: &Supervisor, shown: &Shown) -> Response {
    let lab = supervisor.lab.read().await;
    Response::Diagnosed(Box::new(lab.diagnose(shown).await))
}
