//! One connection, from its acceptance to its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection;
use super::limits::Limits;
use super::observer::{Handshake, Observer, Open, Protocol};
use crate::{Caller, Tls};

/// How much is read of what a client that is refused has sent already.
const PARTING: u64 = 64 * 1024;

/// How long a client that is refused may take to read why.
const PARTING_TIME: Duration = Duration::from_secs(1);

/// What all connections have in common.
pub(super) struct Host {
    pub(super) router: Router,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    pub(super) observer: Observer,
    /// Becomes true when the server shall stop.
    pub(super) stopped: watch::Receiver<bool>,
}

impl Host {
    pub(super) async fn receive(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and complete: waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let (router, caller) = (self.router.clone(), Caller::new(peer));
        let ended = match &self.tls {
            None => {
                let _open = Open::new(&self.observer, Protocol::Plain);
                let stopped = self.stopped.clone();
                connection::drive(
                    stream,
                    Protocol::Plain,
                    router,
                    caller,
                    &self.limits,
                    stopped,
                )
                .await
            }
            Some(tls) => {
                let Some(stream) = self.handshake(stream, peer, tls).await else {
                    return;
                };
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                let _open = Open::new(&self.observer, protocol);
                let stopped = self.stopped.clone();
                connection::drive(stream, protocol, router, caller, &self.limits, stopped).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error, "connection failed");
        }
    }

    /// None when it failed, which has been told.
    async fn handshake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: &Tls,
    ) -> Option<TlsStream<TcpStream>> {
        let limit = self.limits.handshake;
        let accepting = TlsAcceptor::from(tls.config()).accept(stream);
        let accepting = accepting.into_fallible();
        let accepted = tokio::select! {
            accepted = timeout(limit, accepting) => accepted,
            () = self.lingered() => return None,
        };
        let tell = |outcome| {
            if let Some(observer) = &self.observer {
                observer.handshake(outcome);
            }
        };
        match accepted {
            Ok(Ok(stream)) => {
                tell(Handshake::Completed);
                Some(stream)
            }
            Ok(Err((error, stream))) => {
                tracing::warn!(%peer, %error, "TLS handshake failed");
                tell(outcome(&error));
                tokio::select! {
                    _ = timeout(PARTING_TIME, part(stream)) => {}
                    () = self.lingered() => {}
                }
                None
            }
            Err(_) => {
                tracing::warn!(%peer, ?limit, "TLS handshake took too long");
                tell(Handshake::TimedOut);
                None
            }
        }
    }

    /// Resolves [`Limits::linger`] after a stop.
    async fn lingered(&self) {
        // It fails only when the server is gone, and this with it.
        self.stopped.clone().wait_for(|stopped| *stopped).await.ok();
        timeout(self.limits.linger, std::future::pending::<()>())
            .await
            .ok();
    }
}

/// Lets a client that was refused read why. To close a socket in which something is unread, such as
/// the request that follows a handshake by TLS 1.3, resets it: the apiserver then may log that and
/// not the reason, and tries again, five times.
async fn part(mut stream: TcpStream) -> io::Result<u64> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(PARTING), &mut tokio::io::sink()).await
}

/// How a handshake that failed is counted.
fn outcome(error: &io::Error) -> Handshake {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
            Handshake::ClientCertificate
        }
        Some(rustls::Error::AlertReceived(_)) => Handshake::Alert,
        _ => Handshake::Failed,
    }
}
