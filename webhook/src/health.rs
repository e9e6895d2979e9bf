//! Whether the webhook can do its work, for the kubelet and for Prometheus.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::Metrics;

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const STOPPING: u8 = 2;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Whether reviews may be sent here. Cloning shares it.
///
/// At first it is not ready, because nothing is served yet; [`Health::serving`] says otherwise, and
/// [`Health::stopping`] takes that back: then a Service's endpoints leave this Pod out while it
/// still answers. Between the two it is ready when all of its checks pass.
#[derive(Clone, Default)]
pub struct Health {
    phase: Arc<AtomicU8>,
    checks: Vec<(&'static str, Check)>,
}

impl Health {
    /// Not ready yet, and without checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more condition, which is looked at each time that somebody asks: its
    /// name, and what says that it holds or why not. What is said can be read by everybody who
    /// reaches the port. Leave out what all replicas share, such as a directory server: with none
    /// of them ready the apiserver learns less than from an answer that says why.
    #[must_use]
    pub fn with_check(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Arc::new(check)));
        self
    }

    /// Reviews are answered from now on.
    pub fn serving(&self) {
        self.phase.store(SERVING, Ordering::Relaxed);
    }

    /// They will not be for long.
    pub fn stopping(&self) {
        self.phase.store(STOPPING, Ordering::Relaxed);
    }

    /// Nothing when it is ready; otherwise why not, a line for each reason.
    pub fn ready(&self) -> Result<(), String> {
        let phase = match self.phase.load(Ordering::Relaxed) {
            STARTING => Err("starting".to_owned()),
            SERVING => Ok(()),
            _ => Err("stopping".to_owned()),
        };
        let checks = self.checks.iter().map(|(name, check)| (*name, check()));
        let failures: Vec<_> = std::iter::once(("server", phase))
            .chain(checks)
            .filter_map(|(name, state)| Some(format!("{name}: {}", state.err()?)))
            .collect();
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures.join("\n"))
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.ready()).finish()
    }
}

/// The routes of a second, plain port: `GET /livez` (`ok` as long as anything runs), `GET /readyz`
/// (`ok`, or 503 and why not) and `GET /metrics`. Neither the kubelet's probes nor Prometheus have
/// the client certificate that the webhook's own port asks for.
pub fn health_router(health: Health, metrics: Metrics) -> Router {
    let ready = async |State(health): State<Health>| match health.ready() {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    let count = async move || ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], metrics.encode());
    Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(count))
        .with_state(health)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn it_is_ready_while_it_serves_and_nothing_is_wrong() {
        let broken = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&broken);
        let health = Health::new().with_check("certificate", move || {
            let broken = seen.load(Ordering::Relaxed);
            if broken {
                Err("expired".to_owned())
            } else {
                Ok(())
            }
        });
        let all = "server: starting\ncertificate: expired".to_owned();
        assert_eq!(health.ready(), Err(all));
        // A clone is the same.
        health.clone().serving();
        assert_eq!(health.ready(), Err("certificate: expired".to_owned()));
        broken.store(false, Ordering::Relaxed);
        assert_eq!(health.ready(), Ok(()));
        health.stopping();
        assert_eq!(health.ready(), Err("server: stopping".to_owned()));
    }
}
