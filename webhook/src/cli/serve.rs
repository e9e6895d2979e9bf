//! `tokenlab-webhook serve`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokenlab_webhook::reload::ReloadEvent;
use tokenlab_webhook::{
    BoxAuthenticator, Health, Limits, Metrics, PATH, RouterBuilder, Server, Tls, TlsFiles,
    TlsReload, health_router,
};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use super::decider::{Decider, Report};
use super::failure::{Failure, chain};
use super::files;
use super::log::Log;
use super::settings::{Settings, Source, TlsVersion};

pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

const EXAMPLES: &str = "\
Examples:
  tokenlab-webhook serve --mock --plain-http --listen 127.0.0.1:8080
  curl -X POST -d @tokenreview.json http://127.0.0.1:8080/authenticate

  tokenlab-webhook serve --token-file tokens.jsonl --listen 0.0.0.0:8443 \\
    --tls-cert-file pki/tls.crt --tls-private-key-file pki/tls.key \\
    --client-ca-file pki/ca.crt --client-name kube-apiserver --health-listen 0.0.0.0:8081

  tokenlab-webhook serve --config webhook.yaml";

/// Answer reviews until SIGINT or SIGTERM, then finish those that are under way
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\n{EXAMPLES}", Source::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) source: Source,
}

/// Starts the runtime, which no other subcommand needs, and serves as the settings say, which do not
/// contradict each other.
pub(super) fn run(settings: &Settings, log: Log) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(Failure::Runtime)?;
    runtime.block_on(serve(settings, log))
}

async fn serve(settings: &Settings, mut log: Log) -> Result<(), Failure> {
    let metrics = Metrics::new();
    let (tls, reload) = load_tls(settings)?.unzip();
    let report = report(metrics.clone(), tls.clone());
    let mut decider = Decider::load(settings, &report)?;
    let router = router(settings, decider.authenticator(), metrics.clone());
    let address = settings.listen.unwrap_or(LISTEN);
    let limits = limits(settings);
    let server = bind(address, tls.clone(), limits.clone()).await?;
    let server = server.with_observer(Arc::new(metrics.clone()));
    let health = health(tls.clone());
    let probed = match settings.health_listen {
        Some(address) => Some(bind(address, None, limits).await?),
        None => None,
    };
    // Before anybody is told that it listens: who was told may send a signal.
    let signals = Signals::new().map_err(Failure::Signals)?;

    for mode in &decider.modes {
        metrics.mode(*mode);
    }
    if let Some(tls) = &tls {
        metrics.certificate(tls.not_after());
    }
    warn(settings);
    // Dropped at the end, it ends them.
    let mut tasks = JoinSet::new();
    for task in decider.tasks {
        tasks.spawn(task);
    }
    if let Some(reload) = reload {
        tasks.spawn(reload.run(move |event| report(event)));
    }
    if let Some(server) = probed {
        let url = format!("http://{}", server.local_addr());
        tracing::info!(url, "health and metrics");
        let router = health_router(health.clone(), metrics);
        tasks.spawn(server.serve(router, std::future::pending()));
    }
    health.serving();
    let scheme = if tls.is_some() { "https" } else { "http" };
    log.listening(&format!("{scheme}://{}{PATH}", server.local_addr()));
    let delay = settings.shutdown_delay.unwrap_or_default();
    let mut outcome = Ok(());
    let stop = async {
        tokio::select! {
            () = stop(signals, &health, delay) => {}
            () = ended(&mut tasks) => {
                health.stopping();
                tracing::error!("a task that must run for ever has ended, stopping");
                outcome = Err(Failure::Task);
            }
        }
    };
    server.serve(router, stop).await;
    outcome
}

/// Resolves when one of these tasks has ended, of which each must run for ever. Without it the
/// program would serve an old certificate until it expires, or be asked in vain how it is.
async fn ended(tasks: &mut JoinSet<()>) {
    if tasks.join_next().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Ends when the server is to stop.
async fn stop(mut signals: Signals, health: &Health, delay: Duration) {
    signals.next().await;
    health.stopping();
    tracing::info!("stopping");
    // Connections still come until every node has heard that the Pod is ending. Who sends another
    // signal does not want to wait for that.
    tokio::time::timeout(delay, signals.next()).await.ok();
}

/// The certificate and who may come, if there is TLS.
pub(super) fn load_tls(settings: &Settings) -> Result<Option<(Tls, TlsReload)>, Failure> {
    let files = settings
        .tls_cert_file
        .as_ref()
        .zip(settings.tls_private_key_file.as_ref());
    let Some((certificate, key)) = files else {
        return Ok(None);
    };
    let mut files = TlsFiles::new(certificate, key);
    files.client_ca.clone_from(&settings.client_ca_file);
    files.client_names.clone_from(&settings.client_name);
    files.tls12 = settings.tls_min_version == Some(TlsVersion::Tls12);
    Ok(Some(files.load()?))
}

/// Counts and logs what was read again.
fn report(metrics: Metrics, tls: Option<Tls>) -> Report {
    Arc::new(move |event: ReloadEvent| {
        metrics.reloaded(&event);
        if let Some(tls) = &tls {
            metrics.certificate(tls.not_after());
        }
        let what = event.what;
        match event.outcome {
            Ok(()) => tracing::info!(what, "read again"),
            Err(error) => {
                let error = chain(&*error);
                tracing::warn!(
                    what,
                    error,
                    "cannot be read again, what it was stays in use"
                );
            }
        }
    })
}

/// A router with the settings that were told.
fn router(settings: &Settings, authenticator: BoxAuthenticator, metrics: Metrics) -> RouterBuilder {
    let mut router = RouterBuilder::new(authenticator)
        .observer(metrics)
        .retry_after(settings.retry_after)
        .allow_reserved(settings.allow_reserved == Some(true))
        // For `curl -d`, which a tutorial begins with.
        .lenient_content_type(settings.plain_http == Some(true));
    if let Some(octets) = settings.max_body_octets {
        router = router.body_limit(octets.get());
    }
    if let Some(reviews) = settings.max_in_flight {
        router = router.max_in_flight(Some(reviews.get()));
    }
    if let Some(limit) = settings.review_timeout {
        router = router.review_limit(limit);
    }
    router
}

async fn bind(address: SocketAddr, tls: Option<Tls>, limits: Limits) -> Result<Server, Failure> {
    let server = Server::bind(address, tls)
        .await
        .map_err(|source| Failure::Listen { address, source })?;
    Ok(server.with_limits(limits))
}

fn limits(settings: &Settings) -> Limits {
    let mut limits = Limits::default();
    let set = |limit: &mut Duration, told: Option<Duration>| *limit = told.unwrap_or(*limit);
    set(&mut limits.handshake, settings.handshake_timeout);
    set(&mut limits.head, settings.head_timeout);
    set(&mut limits.idle, settings.idle_timeout);
    set(&mut limits.drain, settings.drain_timeout);
    set(&mut limits.ping_interval, settings.http2_ping_interval);
    set(&mut limits.ping_timeout, settings.http2_ping_timeout);
    if let Some(connections) = settings.max_connections {
        limits.connections = connections.get();
    }
    limits.connections = limits.connections.min(files::room());
    if let Some(streams) = settings.http2_max_streams_per_connection {
        limits.streams = streams.get();
    }
    limits.head_octets = settings.max_head_octets.unwrap_or(limits.head_octets);
    limits.resets = settings.http2_max_resets.unwrap_or(limits.resets);
    limits
}

/// Not ready with a certificate that no apiserver takes.
fn health(tls: Option<Tls>) -> Health {
    let health = Health::new();
    let Some(tls) = tls else {
        return health;
    };
    health.with_check("certificate", move || {
        let (now, not_before, not_after) =
            (OffsetDateTime::now_utc(), tls.not_before(), tls.not_after());
        if now < not_before {
            Err(format!("not valid before {not_before}"))
        } else if now > not_after {
            Err(format!("expired at {not_after}"))
        } else {
            Ok(())
        }
    })
}

fn warn(settings: &Settings) {
    if settings.mock == Some(true) {
        tracing::warn!("the mock recognises every token: for labs only");
    }
    if settings.plain_http == Some(true) {
        tracing::warn!("without TLS everybody on the way can read the tokens");
    }
    if settings.no_client_certificates == Some(true) {
        tracing::warn!("everybody who reaches the port can ask whose a token is");
    }
    if settings.client_ca_file.is_some() && settings.client_name.is_none() {
        tracing::warn!(
            "everybody with a certificate of the client CA can ask whose a token is: \
             `--client-name` says who may"
        );
    }
}

/// Those that ask for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_task_is_noticed() {
        let mut tasks = JoinSet::new();
        assert_eq!(ended(&mut tasks).now_or_never(), None, "there is none");
        tasks.spawn(std::future::pending());
        assert_eq!(ended(&mut tasks).now_or_never(), None, "it runs");
        tasks.spawn(async { panic!("broken") });
        ended(&mut tasks).await;
    }
}
