//! One connection, from its acceptance to its end.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::ahead::Ahead;
use super::connection;
use super::limits::Limits;
use super::observer::{Handshake, Observer, Open, Protocol};
use super::seldom::Seldom;
use super::{Displaced, LOG_PAUSE};
use crate::tls::common_name;
use crate::{Caller, Routes, Tls};

/// What all connections have in common.
pub(super) struct Host {
    pub(super) routes: Routes,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    pub(super) observer: Observer,
    /// Becomes true when the server shall stop.
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) failures: Failures,
}

impl Host {
    pub(super) async fn receive(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        displaced: Displaced,
    ) {
        // Answers are small and complete: waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let (routes, caller) = (self.routes.clone(), Caller::new(peer));
        let ended = match &self.tls {
            None => {
                let _open = Open::new(&self.observer, Protocol::Plain);
                let stop = self.stopped();
                let stream = Box::new(stream);
                connection::drive(stream, Protocol::Plain, routes, caller, &self.limits, stop).await
            }
            Some(tls) => {
                // From before the handshake, so that no dismissal is missed.
                let dismissed = tls.dismissed();
                let Some(stream) = self.handshake(stream, peer, tls, displaced).await else {
                    return;
                };
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                let shown = stream.get_ref().1.peer_certificates();
                let name = shown.and_then(|chain| common_name(chain.first()?));
                let caller = caller.with_common_name(name);
                let _open = Open::new(&self.observer, protocol);
                let stop = async {
                    tokio::select! {
                        biased;
                        () = self.stopped() => {}
                        () = dismissed => {}
                    }
                };
                let stream = Box::new(stream);
                connection::drive(stream, protocol, routes, caller, &self.limits, stop).await
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
        mut displaced: Displaced,
    ) -> Option<TlsStream<Ahead>> {
        let limit = self.limits.handshake;
        let accepting = TlsAcceptor::from(tls.config()).accept(Ahead::new(stream));
        let accepting = accepting.into_fallible();
        let accepted = tokio::select! {
            accepted = timeout(limit, accepting) => accepted.ok(),
            _ = &mut displaced => None,
            () = self.lingered() => return None,
        };
        let tell = |outcome| {
            if let Some(observer) = &self.observer {
                observer.handshake(outcome);
            }
        };
        match accepted {
            Some(Ok(stream)) => {
                tell(Handshake::Completed);
                Some(stream)
            }
            Some(Err((error, stream))) => {
                let outcome = outcome(&error);
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    // Whoever only looks whether the port is open does that.
                    tracing::debug!(%peer, "a connection ended before its TLS handshake did");
                } else {
                    self.failures.log(peer, outcome, &error);
                }
                tell(outcome);
                tokio::select! {
                    _ = timeout(self.limits.linger, part(stream)) => {}
                    _ = displaced => {}
                    () = self.lingered() => {}
                }
                None
            }
            None => {
                let outcome = Handshake::TimedOut;
                self.failures.log(peer, outcome, &"it took too long");
                tell(outcome);
                None
            }
        }
    }

    /// Resolves at a stop.
    async fn stopped(&self) {
        // It fails only when the server is gone, and this with it.
        self.stopped.clone().wait_for(|stopped| *stopped).await.ok();
    }

    /// Resolves [`Limits::linger`] after a stop.
    async fn lingered(&self) {
        self.stopped().await;
        // Not a wait for something: it is how long others may still be heard.
        tokio::time::sleep(self.limits.linger).await;
    }
}

/// Logs handshakes that failed, of each kind some: whoever can reach the port can fail as often as
/// it likes.
pub(super) struct Failures([Seldom; Handshake::ALL.len()]);

impl Default for Failures {
    fn default() -> Self {
        Self(Handshake::ALL.map(|_| Seldom::new(LOG_PAUSE)))
    }
}

impl Failures {
    fn log(&self, peer: SocketAddr, outcome: Handshake, error: &dyn Display) {
        let kind = Handshake::ALL.iter().position(|kind| *kind == outcome);
        let kind = &self.0[kind.expect("all are there")];
        if !kind.tell(|more| tracing::warn!(%peer, %error, more, "TLS handshake failed")) {
            tracing::debug!(%peer, %error, "TLS handshake failed");
        }
    }
}

/// Lets a client that was refused read why. To close a socket in which something is unread, such as
/// the request that follows a handshake by TLS 1.3, resets it: the apiserver then may log that and
/// not the reason, and tries again, five times.
async fn part(mut stream: Ahead) -> io::Result<u64> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
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
