//! What the webhook counts, for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use time::OffsetDateTime;

use crate::ApiVersion;

/// The histogram's buckets, in seconds. The apiserver gives up after 30.
const BUCKETS: [f64; 15] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    30.0,
];

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handshake {
    /// The client is in.
    Ok,
    /// It spoke no TLS, had no certificate that is taken, or went away.
    Failed,
    /// It took longer than it may.
    TimedOut,
}

/// What the webhook has done, in the format of Prometheus. Cloning shares the counters.
///
/// | name | type | labels |
/// |---|---|---|
/// | `tokenreview_requests_total` | counter | `version` (`v1`, `v1beta1`; empty for what could not be read), `outcome`, `code` |
/// | `tokenreview_duration_seconds` | histogram | `outcome` |
/// | `tokenreview_in_flight` | gauge | |
/// | `tokenreview_tls_handshakes_total` | counter | `result`: `ok`, `failed`, `timeout` |
/// | `tokenreview_connections` | gauge | `proto`: `h2`, `http/1.1` |
/// | `tokenreview_cert_not_after_seconds` | gauge | |
/// | `tokenreview_reload_total` | counter | `what`, `result`: `ok`, `failed` |
/// | `tokenreview_mode` | gauge | `mode`: the authenticator, such as `mock` |
/// | `tokenreview_build_info` | gauge | `version` |
///
/// No label has a token, a user or a caller in it, so there are few series whatever is sent.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Outcome, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    handshakes: Family<Ended, Counter>,
    connections: Family<Spoken, Gauge>,
    not_after: Gauge,
    reloads: Family<Reload, Counter>,
    modes: Family<Mode, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    version: &'static str,
    outcome: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Spoken {
    proto: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    what: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Mode {
    mode: String,
}

impl Metrics {
    /// Counters that start at nothing.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tokenreview");
        let requests = Family::default();
        registry.register(
            "requests",
            "Requests to the reviews' path, by what came of them",
            requests.clone(),
        );
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register(
            "duration_seconds",
            "From a request's head to its answer",
            durations.clone(),
        );
        let in_flight = Gauge::default();
        registry.register(
            "in_flight",
            "Requests that wait for their answer",
            in_flight.clone(),
        );
        let handshakes = Family::default();
        registry.register("tls_handshakes", "TLS handshakes", handshakes.clone());
        let connections = Family::default();
        registry.register("connections", "Open connections", connections.clone());
        let not_after = Gauge::default();
        registry.register(
            "cert_not_after_seconds",
            "When the served certificate expires, in seconds since 1970",
            not_after.clone(),
        );
        let reloads = Family::default();
        registry.register("reload", "Files that were read again", reloads.clone());
        let modes = Family::default();
        registry.register("mode", "1 for what decides", modes.clone());
        registry.register(
            "build",
            "What is running",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self(Arc::new(Inner {
            registry,
            requests,
            durations,
            in_flight,
            handshakes,
            connections,
            not_after,
            reloads,
            modes,
        }))
    }

    /// A request was answered: in which version (none when it was not understood), with which
    /// outcome (one word of a fixed set) and status code, after which time.
    pub fn request(
        &self,
        version: Option<ApiVersion>,
        outcome: &'static str,
        code: u16,
        took: Duration,
    ) {
        let version = match version {
            Some(ApiVersion::V1) => "v1",
            Some(ApiVersion::V1Beta1) => "v1beta1",
            None => "",
        };
        let request = Request {
            version,
            outcome,
            code,
        };
        self.0.requests.get_or_create(&request).inc();
        let durations = self.0.durations.get_or_create(&Outcome { outcome });
        durations.observe(took.as_secs_f64());
    }

    /// A request is in flight until what is returned is dropped.
    #[must_use]
    pub fn in_flight(&self) -> Counted {
        Counted::new(self.0.in_flight.clone())
    }

    /// A TLS handshake ended so.
    pub fn handshake(&self, ended: Handshake) {
        let result = match ended {
            Handshake::Ok => "ok",
            Handshake::Failed => "failed",
            Handshake::TimedOut => "timeout",
        };
        self.0.handshakes.get_or_create(&Ended { result }).inc();
    }

    /// A connection is open until what is returned is dropped. `protocol` is what it speaks, by
    /// its ALPN name: `h2` or `http/1.1`.
    #[must_use]
    pub fn connection(&self, protocol: &'static str) -> Counted {
        let spoken = Spoken { proto: protocol };
        Counted::new(self.0.connections.get_or_create_owned(&spoken))
    }

    /// The certificate that is served from now on ends at that time.
    pub fn certificate(&self, not_after: OffsetDateTime) {
        self.0.not_after.set(not_after.unix_timestamp());
    }

    /// Files were read again after a change; `what` is one of few words, such as `certificate`.
    pub fn reload(&self, what: &'static str, succeeded: bool) {
        let result = if succeeded { "ok" } else { "failed" };
        let reload = Reload { what, result };
        self.0.reloads.get_or_create(&reload).inc();
    }

    /// Decisions are made by this authenticator, among others that were named.
    pub fn mode(&self, authenticator: impl Into<String>) {
        let mode = authenticator.into();
        self.0.modes.get_or_create(&Mode { mode }).set(1);
    }

    /// All of it as text, in the OpenMetrics format
    /// ([`Metrics::CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("a String must take text");
        text
    }

    /// The media type of what [`Metrics::encode`] makes.
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Something that counts as long as it lives.
#[derive(Debug)]
#[must_use = "it counts as long as it is held"]
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn as_prometheus_reads_them() {
        let metrics = Metrics::new();
        let version = Some(ApiVersion::V1Beta1);
        metrics.request(version, "authenticated", 200, Duration::from_micros(150));
        metrics.request(None, "malformed", 400, Duration::from_micros(20));
        metrics.handshake(Handshake::Failed);
        metrics.certificate(OffsetDateTime::UNIX_EPOCH + Duration::from_secs(86_400));
        metrics.reload("certificate", false);
        metrics.mode("mock");
        let closed = metrics.connection("http/1.1");
        let _open = (metrics.connection("h2"), metrics.in_flight());
        drop(closed);
        let text = metrics.encode();
        let text: Vec<_> = text
            .lines()
            .filter(|line| !line.contains("_bucket{") || line.ends_with('1'))
            .filter(|line| !line.contains("_bucket{le=\"0.00"))
            .collect();
        assert_snapshot!(text.join("\n"), @"");
    }
}
