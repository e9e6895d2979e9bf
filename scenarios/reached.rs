//! Whether the apiserver reaches its webhook: asked by a user whom it would call the mock.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use tokenlab_harness::{Lab, Poll, Probe, Scripted, until};

use crate::evidence::Asked;
use crate::serial::Serial;
use crate::support::mock;

/// What comes of a token that nobody has shown before.
pub(crate) async fn asks(lab: &Lab, scripted: &Scripted) -> Asked {
    Asked::new(lab, scripted, &scripted.token(mock().await)).await
}

impl Serial {
    /// What comes of a token that nobody has shown before.
    pub(crate) async fn asks(&self) -> Asked {
        asks(self, self.scripted()).await
    }
}

/// Compares what the apiserver logged of this request, and of no other, with
/// `snapshots/<scenario>__<case>.snap`.
#[track_caller]
#[expect(clippy::print_stdout, reason = "libtest shows it when the test fails")]
pub(crate) fn assert_logged(context: &Context, seen: &Asked) {
    let errors = seen.causes().into_iter().map(|found| found.error);
    let errors = errors.collect::<Vec<_>>().join("\n");
    println!("{seen}");
    let mut settings = settings();
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
    settings.add_filter(r"LastStreamID=\d+", "LastStreamID=[ID]");
    settings.add_filter(r"scheme\.go:\d+", "scheme.go:[LINE]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]");
    settings.bind(|| insta::assert_snapshot!(file(context), errors));
}
