//! `tokenlab-webhook serve`.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokenlab_webhook::{Mock, PATH, RouterBuilder, Server, Tls};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;

const EXAMPLE: &str = "\
Example:
  tokenlab-webhook serve --mock --plain-http --listen 127.0.0.1:8080
  curl -X POST -d @tokenreview.json http://127.0.0.1:8080/authenticate";

/// Answer reviews until SIGINT or SIGTERM, then finish those that are running (5 s at most)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// Recognise EVERY token, as user `mock` of group `group-mock`. For labs only
    #[arg(long, required = true)]
    mock: bool,

    /// Speak HTTP without TLS: everybody on the way can read the tokens
    #[arg(long, conflicts_with_all = ["tls_cert_file", "tls_private_key_file"])]
    plain_http: bool,

    /// The certificate to show, PEM; its chain may follow. Required unless `--plain-http` is given
    #[arg(long, value_name = "FILE", required_unless_present = "plain_http")]
    tls_cert_file: Option<PathBuf>,

    /// The certificate's key, PEM. Required unless `--plain-http` is given
    #[arg(long, value_name = "FILE", required_unless_present = "plain_http")]
    tls_private_key_file: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self {
            mock: _,
            plain_http: _,
            tls_cert_file,
            tls_private_key_file,
            listen: address,
        } = self;
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
