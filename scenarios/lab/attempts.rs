//! Whether the apiserver reaches its webhook: asked by a user whom it would call the mock.

use std::cell::RefCell;
use std::convert::Infallible;

use rstest::Context;
use tokenlab_harness::{Lab, Poll, Probe, Scripted, until};

use crate::lab::evidence::Asked;
use crate::lab::serial::Serial;
use crate::support::{assert_reviewed, mock};

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

/// Attempts until it comes to that; all that it came to before, and that at last.
pub(crate) async fn comes_to<F: Future<Output = Asked>>(
    what: &str,
    poll: Poll,
    attempt: impl Fn() -> F,
    is: impl Fn(&Asked) -> bool,
) -> Vec<Asked> {
    let all = RefCell::new(Vec::new());
    let look = async || {
        let seen = attempt().await;
        let (is, told) = (is(&seen), seen.to_string());
        all.borrow_mut().push(seen);
        if is {
            Probe::Ready(())
        } else {
            Probe::<_, Infallible>::NotYet(told.into())
        }
    };
    let come = until(what, poll, look).await;
    come.unwrap_or_else(|error| panic!("{error}"));
    all.into_inner()
}

/// Whether the webhook told who it is: somebody who may do nothing.
pub(crate) fn passes(seen: &Asked) -> bool {
    seen.status == 403
}

/// What the apiserver logged of this request: on the serial plane, and so of no other. A lookup
/// that goes on there after its user has given up logs no request.
pub(crate) fn errors(seen: &Asked) -> String {
    let errors = seen.causes().into_iter().map(|found| found.error);
    errors.collect::<Vec<_>>().join("\n")
}

/// Compares that with `snapshots/<scenario>__<case>.snap`.
#[track_caller]
#[expect(clippy::print_stdout, reason = "libtest shows it when the test fails")]
pub(crate) fn assert_logged(context: &Context, seen: &Asked) {
    println!("{seen}");
    assert_reviewed!(context, errors(seen));
}
