//! A proxy that tunnels to the webhook, and tells what it was asked and what went through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokenlab_harness::Port;
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// A test's runtime ends with it; a proxy is there as long as the plane that knows its port.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).enable_all();
    builder.build().expect("must be made")
});

/// An HTTP proxy that knows `CONNECT` (RFC 9110, 9.3.6) and nothing else. Whatever host it is asked
/// for, its tunnels end at one port of 127.0.0.1: a name needs no address where its clients run.
#[derive(Debug)]
pub(crate) struct ConnectProxy {
    port: Port,
    state: Arc<Mutex<State>>,
    listening: Option<Listening>,
}

#[derive(Debug)]
struct Listening {
    /// Dropped, it ends the task.
    stop: oneshot::Sender<()>,
    /// It has ended when the last tunnel has.
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    to: u16,
    refusal: Option<&'static str>,
    seen: Seen,
}

/// What a proxy saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The head of each request for a tunnel.
    pub(crate) heads: Vec<String>,
    /// All that clients sent through tunnels, in order of arrival.
    pub(crate) passed: Vec<u8>,
}

impl ConnectProxy {
    /// Listens on a free port; its tunnels end at this one.
    pub(crate) fn start(to: u16) -> Self {
        let state = State {
            to,
            refusal: None,
            seen: Seen::default(),
        };
        let mut proxy = Self {
            port: Port::reserve().expect("must be free"),
            state: Arc::new(Mutex::new(state)),
            listening: None,
        };
        proxy.up();
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// Listens again.
    pub(crate) fn up(&mut self) {
        let _entered = RUNTIME.enter();
        let socket = TcpSocket::new_v4().expect("must be made");
        // As `Port` holds it; and what is left of a tunnel must not keep it from listening again.
        socket.set_reuseport(true).expect("must be set");
        socket.set_reuseaddr(true).expect("must be set");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        socket.bind(address).expect("must be its own");
        let listener = socket.listen(128).expect("must listen");
        let state = Arc::clone(&self.state);
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut tunnels = JoinSet::new();
            loop {
                let client = tokio::select! {
                    client = listener.accept() => client,
                    _ = &mut stopped => break,
                };
                let (client, _) = client.expect("must be taken");
                tunnels.spawn(tunnel(client, Arc::clone(&state)));
            }
            drop(listener);
            tunnels.shutdown().await;
        });
        self.listening = Some(Listening { stop, task });
    }

    /// From now on who connects is refused. No tunnel is left.
    pub(crate) async fn down(&mut self) {
        if let Some(Listening { stop, task }) = self.listening.take() {
            drop(stop);
            task.await.expect("must end");
        }
    }

    /// From now on who wants a tunnel gets this status line; `None` opens it. No tunnel is left.
    pub(crate) async fn refuse(&mut self, status: Option<&'static str>) {
        self.down().await;
        self.state().refusal = status;
        self.up();
    }

    /// What it saw since this was last asked.
    pub(crate) fn seen(&self) -> Seen {
        std::mem::take(&mut self.state().seen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn tunnel(mut client: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let (to, refusal) = {
        let mut state = locked(&state);
        let head = String::from_utf8_lossy(&head).into_owned();
        state.seen.heads.push(head);
        (state.to, state.refusal)
    };
    if let Some(status) = refusal {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        return client.write_all(answer.as_bytes()).await;
    }
    let (mut back, mut on) = TcpStream::connect((Ipv4Addr::LOCALHOST, to))
        .await?
        .into_split();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let (mut from, mut answers) = client.into_split();
    let forth = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return on.shutdown().await;
            }
            let passed = &buffer[..count];
            locked(&state).seen.passed.extend(passed);
            on.write_all(passed).await?;
        }
    };
    let back = async { io::copy(&mut back, &mut answers).await.map(drop) };
    tokio::try_join!(forth, back).map(drop)
}
