//! A webhook's socket and tasks: they can end and come back, on the same port.

use std::io;
use std::time::Duration;

use axum::Router;
use tokenlab_webhook::{Server, Tls};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use crate::ports::Port;
use crate::runtime;

/// What serves a router on a port of 127.0.0.1. The port stays held while nothing listens.
#[derive(Debug)]
pub(super) struct Served {
    port: Port,
    tls: Tls,
    router: Router,
    listening: Mutex<Option<Listening>>,
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
        let mut served = Self {
            port: Port::reserve()?,
            tls,
            router,
            listening: Mutex::default(),
        };
        *served.listening.get_mut() = Some(served.listen()?);
        Ok(served)
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(super) async fn is_up(&self) -> bool {
        self.listening.lock().await.is_some()
    }

    /// Listens again; nothing changes when it does already.
    pub(super) async fn up(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        if listening.is_none() {
            *listening = Some(self.listen()?);
        }
        Ok(())
    }

    /// Closes the socket and every connection, the reviews that run included: nothing of it is
    /// left when this returns.
    pub(super) async fn down(&self) {
        let mut listening = self.listening.lock().await;
        if let Some(Listening { stop, task }) = listening.take() {
            let _ = stop.send(());
            let _ = task.await;
        }
    }

    fn listen(&self) -> io::Result<Listening> {
        // Socket and tasks belong to the harness's runtime: the test's may end before they do.
        let _runtime = runtime::handle().enter();
        let server = Server::from_listener(self.port.listen()?, Some(self.tls.clone()))?
            .with_drain_limit(Duration::ZERO);
        let (stop, stopped) = oneshot::channel();
        let router = self.router.clone();
        let task = runtime::handle().spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            server.serve(router, stop).await;
        });
        Ok(Listening { stop, task })
    }
}
