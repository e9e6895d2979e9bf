//! The harness's own runtime: what is shared between tests lives here.
//!
//! Each `#[tokio::test]` has a runtime that ends with it, and takes its tasks along. A webhook
//! that serves many tests must not end with the one that happened to start it.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tokenlab")
        .enable_all()
        .build()
        .expect("a thread must be to be had")
});

/// A handle to it.
pub(crate) fn handle() -> &'static tokio::runtime::Handle {
    RUNTIME.handle()
}

/// Makes ring the process's TLS provider, unless it has one.
///
/// rustls finds the provider by itself only while one is compiled in; a test that depends on
/// this crate may well compile another.
pub(crate) fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
