//! What kube-apiserver counts.

use std::collections::BTreeMap;
use std::convert::Infallible;

use http::{Request, Uri};
use tokenlab_harness::{Lab, Probe, Webhook, until};

use crate::support::SOON;

/// The apiserver's counters, by series.
pub(crate) struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Once no call of the webhook runs any more: what went before may have left one.
    pub(crate) async fn at_rest(lab: &Lab) -> Self {
        let rests = until("no call runs", SOON, async || {
            let counters = Self::of(lab).await;
            let runs = "authentication_token_cache_active_fetch_count";
            let mut running = counters
                .0
                .iter()
                .filter(|(series, _)| series.starts_with(runs));
            match running.find(|(_, calls)| **calls > 0) {
                None => Probe::Ready(counters),
                Some((series, calls)) => {
                    Probe::<_, Infallible>::NotYet(format!("{series} {calls}").into())
                }
            }
        });
        rests.await.expect("must end")
    }

    pub(crate) async fn of(lab: &Lab) -> Self {
        let admin = lab.client().await.expect("must be made");
        let get = Request::get("/metrics").body(Vec::new()).expect("is one");
        let text = admin.request_text(get).await.expect("the admin may");
        let counted = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            // Counts are whole numbers; what is measured is not looked at.
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(counted.collect())
    }

    /// What has grown since then.
    pub(crate) fn since(self, before: &Self) -> Grown {
        let grown = self.0.into_iter().map(|(series, now)| {
            let before = before.0.get(&series).copied().unwrap_or_default();
            // What measures may shrink.
            (series, now.saturating_sub(before))
        });
        let counted = |(series, by): &(String, u64)| *by > 0 && !series.contains("_duration_");
        Grown(grown.filter(counted).collect())
    }
}

/// By how much counters have grown, by series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grown(BTreeMap<String, u64>);

impl Grown {
    /// Those whose series begin so.
    pub(crate) fn of<'a>(&'a self, name: &str) -> BTreeMap<&'a str, u64> {
        let all = self.0.iter().map(|(series, by)| (series.as_str(), *by));
        all.filter(|(series, _)| series.starts_with(name)).collect()
    }

    /// Those of what the apiserver posted to that host, by the status of the answers.
    pub(crate) fn calls(&self, host: &str) -> BTreeMap<&str, u64> {
        let posted = format!("host=\"{host}\",method=\"POST\"");
        let mut calls = BTreeMap::new();
        for (series, by) in self.of("rest_client_requests_total{") {
            let code = series
                .split_once("code=\"")
                .and_then(|(_, rest)| rest.split_once('"'));
            if series.contains(&posted) {
                *calls.entry(code.expect("must have one").0).or_default() += by;
            }
        }
        calls
    }
}

/// Where the apiserver's client has it that its webhook is: host and port.
pub(crate) fn host(webhook: &Webhook) -> String {
    let url: Uri = webhook.url().parse().expect("must be one");
    let host = url.authority().expect("must have one");
    host.to_string()
}
