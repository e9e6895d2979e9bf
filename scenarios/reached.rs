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

/// Whether the webhook told who it is: somebody who may do nothing.
pub(crate) fn passes(seen: &Asked) -> bool {
    seen.status == 403
}

/// For what is near.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Attempts until it comes to that; all that it came to before, and that at last.
pub(crate) async fn comes_to<F: Future<Output = Asked>>(
    what: &str,
    within: Duration,
    attempt: impl Fn() -> F,
    is: impl Fn(&Asked) -> bool,
) -> Vec<Asked> {
    let every = within / 500;
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
    let come = until(what, Poll { every, within }, look).await;
    come.unwrap_or_else(|error| panic!("{error}"));
    all.into_inner()
}

/// What the apiserver logged of this request, and of no other.
pub(crate) fn errors(seen: &Asked) -> String {
    let errors = seen.causes().into_iter().map(|found| found.error);
    errors.collect::<Vec<_>>().join("\n")
}

/// The value of this counter of the apiserver's; `series` is its name, and its labels as they are
/// written. One that never counted is not there, or zero.
pub(crate) async fn counted(lab: &Lab, series: &str) -> u64 {
    let admin = lab.client().await.expect("must be made");
    let request = http::Request::get("/metrics").body(Vec::new());
    let metrics = admin.request_text(request.expect("is one")).await;
    let metrics = metrics.expect("the admin may read them");
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().expect("must be a number"))
}
