//! `tokenlab-webhook serve`.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokenlab_webhook::{Mock, PATH, RouterBuilder, Server, Tls};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::settings::{self, Settings};

const EXAMPLE: &str = "\
Example:
  tokenlab-webhook serve --mock --plain-http --listen 127.0.0.1:8080
  curl -X POST -d @tokenreview.json http://127.0.0.1:8080/authenticate";

/// Answer reviews until SIGINT or SIGTERM, then finish those that are under way
///
/// A flag is stronger than its variable, that is stronger than the file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// Settings in YAML; a flag `--max-in-flight` is `maxInFlight` there
    #[arg(long, env = "TOKENLAB_WEBHOOK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self {
            config,
            settings: flags,
        } = self;
        let file = config.as_deref().map(settings::read).transpose()?;
        let (file, _lines) = file.unwrap_or_default();
        let Settings {
            tls_cert_file,
            tls_private_key_file,
            listen,
            ..
        } = flags.or(file);
        let address = listen.unwrap_or(LISTEN);
        let tls = tls_cert_file
            .zip(tls_private_key_file)
            .map(|(certificate, key)| load(certificate, key))
            .transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = Server::bind(address, tls)
            .await
            .map_err(|source| Failure::Listen { address, source })?;
        // Before anybody is told that it listens: who was told may send a signal.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping");
        };
        tracing::warn!("the mock recognises every token: for labs only");
        if scheme == "http" {
            tracing::warn!("without TLS everybody on the way can read the tokens");
        }
        let address = server.local_addr();
        // Where stderr is closed nobody reads it; that is no reason not to serve.
        writeln!(io::stderr(), "listening on {scheme}://{address}{PATH}").ok();
        // `curl -d`, which the tutorial uses, says that it sends a form.
        let router = RouterBuilder::new(Mock).lenient_content_type(scheme == "http");
        server.serve(router.build(), stop).await;
        Ok(())
    }
}

fn load(certificate: PathBuf, key: PathBuf) -> Result<Tls, Failure> {
    let chain = read("certificate", &certificate)?;
    let secret = read("key", &key)?;
    Tls::from_pem(&chain, &secret).map_err(|source| Failure::Tls {
        certificate,
        key,
        source,
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::Read {
        what,
        path: path.to_owned(),
        source,
    })
}
