//! The Go peer: a TokenReview webhook written with controller-runtime.

use std::process::Stdio;

use camino::Utf8PathBuf;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::skipped::{has, skip};

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/peers/controller-runtime"
);
const PROGRAM: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/token-webhook-peer");

/// The token that it knows, as `gopher`: the tutorial's.
pub(crate) const TOKEN: &str = "ZGVtbW8tcGFzc3dvcmQ=";

/// Builds it, once: minutes the first time. Without Go the test is skipped.
pub(crate) async fn built(test: &str) -> Option<Utf8PathBuf> {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    if !has("go") {
        skip(test, "there is no Go to build the peer with");
        return None;
    }
    let build = async || {
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-o", PROGRAM, "."])
            .current_dir(SOURCE)
            // A program for an image that has nothing else.
            .env("CGO_ENABLED", "0")
            .stdin(Stdio::null());
        let status = go.status().await.expect("go must run");
        assert!(status.success(), "the peer must be built");
    };
    BUILT.get_or_init(build).await;
    Some(PROGRAM.into())
}
