//! Real clusters by kind, where `LAB_BACKEND=kind` allows containers: the webhook in them, the
//! flag set and taken back, and nothing left.

mod cluster;
mod diagnosis;
mod diagnostics;
mod foreign;
mod left;
#[path = "../lab/webhooks/peer.rs"]
mod peer;
mod production;
#[path = "../lab/skipped.rs"]
mod skipped;

/// Whether this run may start clusters; a test that may not says so.
fn allowed(test: &str) -> bool {
    let allowed = std::env::var("LAB_BACKEND").is_ok_and(|backend| backend == "kind");
    if !allowed {
        skipped::skip(test, "LAB_BACKEND is not `kind`");
    }
    allowed
}
