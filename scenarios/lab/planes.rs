//! Control planes with flags of their own, each shared by all scenarios that need it.

use rstest::fixture;
use tokenlab_harness::{SharedConfig, SharedLab};
use tokenlab_webhook::ApiVersion;

use crate::support::config;

/// The flag for how long the webhook's answers are remembered.
pub(crate) const CACHE_TTL: &str = "authentication-token-webhook-cache-ttl";

async fn with(flags: &[(&'static str, &str)]) -> SharedLab {
    let flags = flags
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    SharedLab::get(SharedConfig {
        flags: flags.collect(),
        ..config()
    })
    .await
}

/// One whose apiserver remembers what the webhook said for a second. What it knows of a token that
/// somebody knew it remembers for ten in any case.
#[fixture]
pub(crate) async fn short_lived() -> SharedLab {
    with(&[(CACHE_TTL, "1s")]).await
}

/// One whose apiserver remembers nothing of what the webhook said, but for those ten seconds.
#[fixture]
pub(crate) async fn uncached() -> SharedLab {
    with(&[(CACHE_TTL, "0s")]).await
}

/// One whose apiserver speaks v1 with its webhook.
#[fixture]
pub(crate) async fn v1() -> SharedLab {
    SharedLab::get(SharedConfig {
        webhook_version: Some(ApiVersion::V1),
        ..config()
    })
    .await
}

/// The audiences of that apiserver.
pub(crate) const AUDIENCES: [&str; 2] = ["lab-one", "lab-two"];

/// One whose apiserver has audiences of its own.
#[fixture]
pub(crate) async fn audiences() -> SharedLab {
    with(&[("api-audiences", &AUDIENCES.join(","))]).await
}
