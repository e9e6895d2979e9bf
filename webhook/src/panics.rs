//! What a panic says.

use std::panic::{self, PanicHookInfo};

/// Makes of each panic of the process a line of the log at level ERROR, with the place in the code
/// and without the message: one in an authenticator may quote a token, and would otherwise stand on
/// stderr. [`router`](crate::router()) answers such a review with 500 and goes on.
pub fn log_panics() {
    panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    tracing::error!(at, "panicked");
}
