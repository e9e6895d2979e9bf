//! A webhook's socket and tasks: they can end and come back, on the same port.

use std::io;
use std::time::{Duration, Instant};

use axum::Router;
use tokenlab_webhook::{Server, Tls};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use super::connection_fault::{Broken, ConnectionFault};
use crate::ports::Port;
use crate::runtime;

/// How long a connection that is closed has for its last words: HTTP/2 tells its client by
/// `GOAWAY`. A review that runs longer is lost.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What serves a router on a port of 127.0.0.1. The port stays held while nothing listens.
#[derive(Debug)]
pub(super) struct Served {
    port: Port,
    router: Router,
    broken: Broken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: HTTP without TLS.
    tls: Option<Tls>,
    fault: Option<ConnectionFault>,
    listening: Option<Listening>,
}

/// Dropped, it ends.
#[derive(Debug)]
struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    /// Takes a free port, and serves.
    pub(super) fn start(router: Router, tls: Tls) -> io::Result<Self> {
        let mut state = State {
            tls: Some(tls),
            fault: None,
            listening: None,
        };
        let mut served = Self {
            port: Port::reserve()?,
            router,
            broken: Broken::default(),
            state: Mutex::default(),
        };
        state.listening = Some(served.listen(&state)?);
        *served.state.get_mut() = state;
        Ok(served)
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    /// When a connection was broken on purpose.
    pub(super) fn broken(&self) -> Vec<Instant> {
        self.broken.since_start()
    }

    pub(super) async fn is_up(&self) -> bool {
        self.state.lock().await.listening.is_some()
    }

    /// Listens again; nothing changes when it does already.
    pub(super) async fn up(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        if state.listening.is_none() {
            state.listening = Some(self.listen(&state)?);
        }
        Ok(())
    }

    /// Closes the socket and every connection, the reviews that run included: nothing of it is
    /// left when this returns.
    pub(super) async fn down(&self) {
        self.state.lock().await.down().await;
    }

    /// From now on it serves with this certificate, or without TLS. Every connection is closed.
    pub(super) async fn serve_with(&self, tls: Option<Tls>) -> io::Result<()> {
        let mut state = self.state.lock().await;
        state.tls = tls;
        self.again(&mut state).await
    }

    /// From now on every connection meets this, and those that are open are closed.
    pub(super) async fn break_connections(&self, fault: Option<ConnectionFault>) -> io::Result<()> {
        let mut state = self.state.lock().await;
        state.fault = fault;
        self.again(&mut state).await
    }

    /// Begins anew, when it listens.
    async fn again(&self, state: &mut State) -> io::Result<()> {
        if state.listening.is_some() {
            state.down().await;
            state.listening = Some(self.listen(state)?);
        }
        Ok(())
    }

    fn listen(&self, state: &State) -> io::Result<Listening> {
        // Socket and tasks belong to the harness's runtime: the test's may end before they do.
        let _runtime = runtime::handle().enter();
        let listener = self.port.listen()?;
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let task = if let Some(fault) = state.fault.clone() {
            let broken = self.broken.clone();
            runtime::handle().spawn(broken.listen(listener, state.tls.clone(), fault, stopped))
        } else {
            let server =
                Server::from_listener(listener, state.tls.clone())?.with_drain_limit(LAST_WORDS);
            let router = self.router.clone();
            runtime::handle().spawn(async move {
                server.serve(router, stopped).await;
            })
        };
        Ok(Listening { stop, task })
    }
}

impl State {
    async fn down(&mut self) {
        if let Some(Listening { stop, task }) = self.listening.take() {
            let _ = stop.send(());
            let _ = task.await;
        }
    }
}
