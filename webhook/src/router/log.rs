//! The line that each request leaves in the log.

use super::Ended;

/// Writes it, at level INFO.
pub(super) fn write(request: &Ended<'_>) {
    tracing::info!(
        target: "tokenlab_webhook::router",
        outcome = request.outcome.as_str(),
        code = request.code.map(|code| code.as_u16()),
        latency_us = u64::try_from(request.duration.as_micros()).unwrap_or(u64::MAX),
        api_version = request.review.map(|review| review.api_version.as_str()),
        reason = request.reason,
        "review"
    );
}
