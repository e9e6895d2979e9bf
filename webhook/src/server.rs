//! The accept loop.

mod activity;
mod ahead;
mod connection;
mod host;
mod limits;
mod observer;
mod patience;
mod reception;
mod seldom;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::{Routes, Tls};
use host::{Failures, Host};
use observer::Observer;
use seldom::Seldom;

pub use limits::Limits;
pub use observer::{ConnectionObserver, Handshake, Protocol};

/// How long to rest when a connection cannot be accepted, for instance because all of the
/// process's file descriptors are used: nothing announces the moment when one is free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often at most something is logged that a client, or the lack of something, can cause at
/// will.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// This part of all connections may be in their handshake, which strangers can begin.
const HANDSHAKES: usize = 8;

/// But so many may be in any case.
const FEWEST_HANDSHAKES: usize = 16;

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

    /// Serves until `stop` resolves, then takes what waits in the socket's backlog, closes the
    /// socket, lets running requests finish within the drain limit and drops what is left. Nothing
    /// of it runs any more when this returns; dropped, it aborts all of it.
    ///
    /// Nothing that a client has sent is lost by a stop that has the time for it. HTTP/2 clients
    /// are told by `GOAWAY` which requests they may send again. HTTP/1.1 has no such thing: the
    /// answers say `Connection: close`, and an idle connection is kept for a second, as is one that
    /// is in its handshake.
    ///
    /// It takes a [`Router`](axum::Router), every request to which has its [`Caller`](crate::Caller)
    /// as an extension, or a [`RouterBuilder`](crate::RouterBuilder) as it is, whose reviews do
    /// without axum's routes ([`Routes`]).
    pub async fn serve(self, routes: impl Into<Routes>, stop: impl Future<Output = ()> + Send) {
        self.run(routes.into(), Box::pin(stop)).await;
    }

    /// Boxed, so that it is compiled with this crate, once for all programs.
    fn run(self, routes: Routes, stop: BoxFuture<'_, ()>) -> BoxFuture<'_, ()> {
        Box::pin(self.accept(routes, stop))
    }

    async fn accept(self, routes: Routes, mut stop: BoxFuture<'_, ()>) {
        let Self {
            listener,
            tls,
            limits,
            observer,
            ..
        } = self;
        let (stopping, stopped) = watch::channel(false);
        let most = limits.connections.max(1);
        let drain = limits.drain;
        let host = Arc::new(Host {
            routes,
            tls,
            limits,
            observer,
            stopped,
            failures: Failures::default(),
        });
        let mut connections = JoinSet::new();
        let mut handshakes = Handshakes::new((most / HANDSHAKES).max(FEWEST_HANDSHAKES));
        let (full, failing) = (Seldom::new(LOG_PAUSE), Seldom::new(LOG_PAUSE));
        loop {
            if connections.len() >= most {
                full.tell(|_| {
                    tracing::warn!(connections = most, "all connections are taken, others wait");
                });
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = listener.accept(), if connections.len() < most => match accepted {
                    Ok((stream, peer)) => {
                        let displaced = handshakes.begin();
                        connections.spawn(Arc::clone(&host).receive(stream, peer, displaced));
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        failing.tell(|more| { tracing::warn!(%error, more, "cannot accept a connection"); });
                        if timeout(ACCEPT_PAUSE, &mut stop).await.is_ok() {
                            break;
                        }
                    }
                },
            }
        }
        // Their clients take them for accepted, and the apiserver does not repeat what they lose.
        for (stream, peer) in waiting(listener).take(most) {
            let displaced = handshakes.begin();
            connections.spawn(Arc::clone(&host).receive(stream, peer, displaced));
        }
        stopping.send_replace(true);
        let drained = timeout(drain, async {
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

/// The connections in a socket's backlog, as far as they can be accepted at once. Closes it.
fn waiting(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    // Asked itself: tokio may not have heard of the newest yet.
    let listener = listener.into_std().ok();
    let next = move || {
        loop {
            match listener.as_ref()?.accept() {
                Ok(accepted) => break Some(accepted),
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => break None,
            }
        }
    };
    std::iter::from_fn(next).filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    })
}

/// Connections that have not shown yet who they are, the oldest first.
struct Handshakes {
    most: usize,
    running: VecDeque<oneshot::Sender<()>>,
}

/// Held by a handshake; it fails when that must give way to a newer one.
type Displaced = oneshot::Receiver<()>;

impl Handshakes {
    fn new(most: usize) -> Self {
        Self {
            most,
            running: VecDeque::new(),
        }
    }

    /// With one more than there may be, the oldest gives way: a client that means well needs some
    /// round trips, and one that does not sits there for as long as it can.
    fn begin(&mut self) -> Displaced {
        if self.running.len() >= self.most {
            self.running.retain(|handshake| !handshake.is_closed());
        }
        if self.running.len() >= self.most {
            self.running.pop_front();
        }
        let (running, displaced) = oneshot::channel();
        self.running.push_back(running);
        displaced
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
