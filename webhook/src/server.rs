//! The accept loop.

mod connection;
mod limits;
mod observer;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::{Caller, Tls};
use observer::{Observer, Open};

pub use limits::Limits;
pub use observer::{ConnectionObserver, Handshake, Protocol};

/// How long to rest when a connection cannot be accepted, for instance because all of the
/// process's file descriptors are used: nothing announces the moment when one is free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket. Connections wait in it until [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    limits: Limits,
    observer: Observer,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one. Without `tls` it speaks plain HTTP, which
    /// lets everybody on the way read the tokens.
    pub async fn bind(address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        Self::from_listener(TcpListener::bind(address).await?, tls)
    }

    /// Serves on a socket that listens already: one with options of its own, or one that came
    /// from whoever started the program.
    pub fn from_listener(listener: TcpListener, tls: Option<Tls>) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            tls,
            limits: Limits::default(),
            observer: None,
        })
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Tells `observer` of handshakes and connections. Default: nobody.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn ConnectionObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// [`Limits::handshake`] alone.
    #[must_use]
    pub fn with_handshake_limit(mut self, limit: Duration) -> Self {
        self.limits.handshake = limit;
        self
    }

    /// [`Limits::drain`] alone.
    #[must_use]
    pub fn with_drain_limit(mut self, limit: Duration) -> Self {
        self.limits.drain = limit;
        self
    }

    /// Where it listens, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then closes the socket, lets running requests finish within
    /// the drain limit and drops what is left. Idle connections are closed at once, handshakes
    /// given up. Nothing of it runs any more when this returns; dropped, it aborts all of it.
    ///
    /// Every request carries its [`Caller`] as an extension.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let tls = self.tls.clone();
                        let reception = connection::Reception::new(router.clone(), Caller::new(peer));
                        let stopped = stopped.clone();
                        connections.spawn(receive(stream, tls, self.limits.handshake, self.observer.clone(), reception, stopped));
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        if timeout(ACCEPT_PAUSE, &mut stop).await.is_ok() {
                            break;
                        }
                    }
                },
            }
        }
        drop(self.listener);
        stopping.send_replace(true);
        let drained = timeout(self.limits.drain, async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            let count = connections.len();
            tracing::warn!(count, "dropping connections that did not finish in time");
            connections.shutdown().await;
        }
    }
}

/// One connection, from its acceptance to its end.
async fn receive(
    stream: TcpStream,
    tls: Option<Tls>,
    limit: Duration,
    observer: Observer,
    reception: connection::Reception,
    mut stopped: watch::Receiver<bool>,
) {
    let peer = reception.peer();
    // Answers are small and complete: waiting for more to send only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let tell = |outcome| {
        if let Some(observer) = &observer {
            observer.handshake(outcome);
        }
    };
    let ended = match tls {
        None => {
            let _open = Open::new(observer, Protocol::Plain);
            connection::drive(stream, Protocol::Plain, reception, stopped).await
        }
        Some(tls) => {
            let handshake = timeout(limit, TlsAcceptor::from(tls.config()).accept(stream));
            let accepted = tokio::select! {
                accepted = handshake => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            match accepted {
                Ok(Ok(stream)) => {
                    let protocol = match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => Protocol::Http2,
                        _ => Protocol::Http1,
                    };
                    tell(Handshake::Completed);
                    let _open = Open::new(observer, protocol);
                    connection::drive(stream, protocol, reception, stopped).await
                }
                Ok(Err(error)) => {
                    tell(outcome(&error));
                    return tracing::warn!(%peer, %error, "TLS handshake failed");
                }
                Err(_) => {
                    tell(Handshake::TimedOut);
                    return tracing::warn!(%peer, ?limit, "TLS handshake took too long");
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "connection failed");
    }
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

fn report(ended: Result<(), JoinError>) {
    // Without what the panic said: that is the authenticator's, and may quote a token.
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a review panicked, and its connection was dropped");
    }
}

/// Whether it was the connection that failed and not the acceptance: the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
