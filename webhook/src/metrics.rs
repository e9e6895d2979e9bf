//! What the webhook counts, for Prometheus.

mod request;

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use time::OffsetDateTime;

use self::request::Request;
use crate::authenticators::TokenReload;
#[cfg(feature = "ldap")]
use crate::authenticators::ldap::LdapReload;
use crate::reload::ReloadEvent;
use crate::{ConnectionObserver, Ended, Handshake, Observer, Protocol, TlsReload};

/// The histogram's buckets, in seconds. The apiserver gives up after 30.
const BUCKETS: [f64; 15] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    30.0,
];

/// What is read again when it changes.
const RELOADED: &[&str] = &[
    TlsReload::WHAT,
    TokenReload::WHAT,
    #[cfg(feature = "ldap")]
    LdapReload::WHAT,
];

/// What the webhook has done, in the format of Prometheus. Cloning shares the counters.
///
/// It observes a router and a server, and is shown beside [`Health`](crate::Health) on a port of
/// its own:
///
/// ```
/// use std::sync::Arc;
/// use tokenlab_webhook::{Health, Metrics, Mock, RouterBuilder, Server, health_router};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let (address, tls, stop) = (([127, 0, 0, 1], 0).into(), None, async {});
/// let (metrics, health) = (Metrics::new(), Health::new());
/// let router = RouterBuilder::new(Mock).observer(metrics.clone());
/// let server = Server::bind(address, tls).await?;
/// let server = server.with_observer(Arc::new(metrics.clone()));
/// let probed = Server::bind(([127, 0, 0, 1], 0).into(), None).await?;
/// let probes = probed.serve(health_router(health.clone(), metrics), std::future::pending());
/// health.serving();
/// tokio::select! {
///     () = server.serve(router, stop) => {}
///     () = probes => {}
/// }
/// # Ok(())
/// # }
/// ```
///
/// | name | type | labels |
/// |---|---|---|
/// | `tokenreview_requests_total` | counter | `version`: `v1`, `v1beta1`, or empty for what could not be read; `outcome`: [`Outcome`](crate::Outcome); `code`: the status, empty if nobody waited for it |
/// | `tokenreview_duration_seconds` | histogram | `outcome` |
/// | `tokenreview_in_flight` | gauge | |
/// | `tokenreview_tls_handshakes_total` | counter | `result`: [`Handshake`] |
/// | `tokenreview_connections` | gauge | `proto`: [`Protocol`] |
/// | `tokenreview_cert_not_after_seconds` | gauge, seconds since 1970 | |
/// | `tokenreview_reload_total` | counter | `what`: `certificate`, for instance; `result`: `ok`, `failed` |
/// | `tokenreview_mode` | gauge, always 1 | `mode`: who decides, for instance `mock` |
/// | `tokenreview_build_info` | gauge, always 1 | `version` |
///
/// No label has a token, a user or a caller in it, so there are few series whatever is sent. Those
/// of counters begin at zero, so that `rate()` sees the first error too. Requests for other paths
/// are counted as `malformed` with code 404; probes are not counted.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Outcome, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    handshakes: Family<Shaken, Counter>,
    connections: Family<Spoken, Gauge>,
    not_after: Family<Unlabelled, Gauge>,
    reloads: Family<Reload, Counter>,
    modes: Family<Mode, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Shaken {
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

type Unlabelled = [(&'static str, &'static str); 0];

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
            "Requests, by what came of them; probes are not counted",
            requests.clone(),
        );
        for request in Request::all() {
            requests.get_or_create_owned(&request);
        }
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
        let handshakes = Family::<Shaken, Counter>::default();
        registry.register("tls_handshakes", "TLS handshakes", handshakes.clone());
        for outcome in Handshake::ALL {
            handshakes.get_or_create_owned(&outcome.into());
        }
        let connections = Family::<Spoken, Gauge>::default();
        for protocol in Protocol::ALL {
            connections.get_or_create_owned(&protocol.into());
        }
        registry.register("connections", "Open connections", connections.clone());
        // Not there without a certificate: 0 would be one that has expired long ago.
        let not_after = Family::<Unlabelled, Gauge>::default();
        registry.register(
            "cert_not_after_seconds",
            "When the served certificate expires, in seconds since 1970",
            not_after.clone(),
        );
        let reloads = Family::<Reload, Counter>::default();
        registry.register("reload", "Files that were read again", reloads.clone());
        for what in RELOADED {
            for result in ["ok", "failed"] {
                reloads.get_or_create_owned(&Reload { what, result });
            }
        }
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

    /// The certificate that is served from now on ends at that time.
    pub fn certificate(&self, not_after: OffsetDateTime) {
        let gauge = self.0.not_after.get_or_create(&[]);
        gauge.set(not_after.unix_timestamp());
    }

    /// Files were read again after a change.
    pub fn reloaded(&self, event: &ReloadEvent) {
        let reload = Reload {
            what: event.what,
            result: if event.outcome.is_ok() {
                "ok"
            } else {
                "failed"
            },
        };
        self.0.reloads.get_or_create(&reload).inc();
    }

    /// Decisions are made by this authenticator, among others that were named.
    pub fn mode(&self, authenticator: impl Into<String>) {
        let mode = authenticator.into();
        self.0.modes.get_or_create(&Mode { mode }).set(1);
    }

    /// All of it as text, of the media type [`Metrics::CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("a String must take text");
        text
    }

    /// OpenMetrics 1.0, which Prometheus reads since its version 2.5.
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Metrics {
    fn started(&self) {
        self.0.in_flight.inc();
    }

    fn ended(&self, request: &Ended<'_>) {
        self.0.in_flight.dec();
        let outcome = request.outcome.as_str();
        self.0.requests.get_or_create(&request.into()).inc();
        let durations = self.0.durations.get_or_create(&Outcome { outcome });
        durations.observe(request.duration.as_secs_f64());
    }
}

impl ConnectionObserver for Metrics {
    fn handshake(&self, outcome: Handshake) {
        self.0.handshakes.get_or_create(&outcome.into()).inc();
    }

    fn opened(&self, protocol: Protocol) {
        self.0.connections.get_or_create(&protocol.into()).inc();
    }

    fn closed(&self, protocol: Protocol) {
        self.0.connections.get_or_create(&protocol.into()).dec();
    }
}

impl From<Handshake> for Shaken {
    fn from(outcome: Handshake) -> Self {
        let result = outcome.as_str();
        Self { result }
    }
}

impl From<Protocol> for Spoken {
    fn from(protocol: Protocol) -> Self {
        let proto = protocol.as_str();
        Self { proto }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use insta::assert_snapshot;

    use super::*;
    use crate::Review;

    #[test]
    fn as_prometheus_reads_them() {
        let metrics = Metrics::new();
        let review = Review::new("canary");
        let ended = Ended {
            outcome: crate::Outcome::Authenticated,
            code: Some(StatusCode::OK),
            duration: Duration::from_micros(150),
            review: Some(&review),
            user: None,
            reason: None,
        };
        metrics.started();
        metrics.started();
        metrics.ended(&ended);
        metrics.handshake(Handshake::ClientCertificate);
        metrics.opened(Protocol::Http2);
        metrics.opened(Protocol::Http2);
        metrics.closed(Protocol::Http2);
        metrics.certificate(OffsetDateTime::UNIX_EPOCH + Duration::from_secs(86_400));
        metrics.reloaded(&ReloadEvent {
            what: "certificate",
            outcome: Err("no".into()),
        });
        metrics.mode("mock");
        let text = metrics.encode();
        assert_eq!(
            text.matches("_bucket{").count(),
            BUCKETS.len() + 1,
            "{text}"
        );
        let first =
            r#"tokenreview_requests_total{version="v1beta1",outcome="undecided",code="200"} 0"#;
        assert!(text.contains(first), "{text}");
        let is_zero = |line: &str| {
            let counters = ["tokenreview_requests_total", "tokenreview_reload_total"];
            line.ends_with(" 0") && counters.iter().any(|name| line.starts_with(name))
        };
        // The labels of one name come in any order.
        let mut lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("# HELP") && !line.contains("_bucket{"))
            .filter(|line| !is_zero(line))
            .collect();
        lines.sort_unstable();
        assert_snapshot!(lines.join("\n"), @r#"
        # EOF
        # TYPE tokenreview_build info
        # TYPE tokenreview_cert_not_after_seconds gauge
        # TYPE tokenreview_connections gauge
        # TYPE tokenreview_duration_seconds histogram
        # TYPE tokenreview_in_flight gauge
        # TYPE tokenreview_mode gauge
        # TYPE tokenreview_reload counter
        # TYPE tokenreview_requests counter
        # TYPE tokenreview_tls_handshakes counter
        tokenreview_build_info{version="0.1.0"} 1
        tokenreview_cert_not_after_seconds 86400
        tokenreview_connections{proto="h2"} 1
        tokenreview_connections{proto="http/1.1"} 0
        tokenreview_connections{proto="plain"} 0
        tokenreview_duration_seconds_count{outcome="authenticated"} 1
        tokenreview_duration_seconds_sum{outcome="authenticated"} 0.00015
        tokenreview_in_flight 1
        tokenreview_mode{mode="mock"} 1
        tokenreview_reload_total{what="certificate",result="failed"} 1
        tokenreview_requests_total{version="v1",outcome="authenticated",code="200"} 1
        tokenreview_tls_handshakes_total{result="alert"} 0
        tokenreview_tls_handshakes_total{result="client_certificate"} 1
        tokenreview_tls_handshakes_total{result="completed"} 0
        tokenreview_tls_handshakes_total{result="failed"} 0
        tokenreview_tls_handshakes_total{result="timed_out"} 0
        "#);
    }
}
