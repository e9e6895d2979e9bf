//! One connection's HTTP, all of it in the connection's task.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tower::Service as _;

use super::Protocol;
use crate::Caller;

/// Gives each of a connection's requests to the router, with its caller.
pub(super) struct Reception {
    router: Router,
    caller: Caller,
}

impl Reception {
    pub(super) fn new(router: Router, caller: Caller) -> Self {
        Self { router, caller }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.caller.peer
    }
}

impl Service<Request<Incoming>> for Reception {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.caller.clone());
        // A router is always ready.
        self.router.clone().call(request)
    }
}

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands HTTP/2's streams to the task of their connection instead of spawning them: they end with
/// it, and answers that become ready together leave in one write.
#[derive(Clone)]
struct Streams(mpsc::UnboundedSender<Stream>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        // It fails only when the connection has ended, and then nobody waits for the stream.
        self.0.send(Box::pin(stream)).ok();
    }
}

/// Serves a connection to its end. After `stopped` it ends with the requests that are running.
pub(super) async fn drive(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    protocol: Protocol,
    reception: Reception,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (sender, mut arriving) = mpsc::unbounded_channel();
    let mut builder = auto::Builder::new(Streams(sender));
    // With a timer hyper drops a client that takes more than 30 s for the head of a request.
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    let builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Plain => builder,
    };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), reception));
    let mut stop = pin!(stopped.wait_for(|stopped| *stopped));
    let mut stopping = false;
    let mut running = FuturesUnordered::new();
    std::future::poll_fn(|context| {
        if !stopping && stop.as_mut().poll(context).is_ready() {
            stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(ended);
        }
        while let Poll::Ready(Some(stream)) = arriving.poll_recv(context) {
            running.push(stream);
        }
        // A stream that has something to send wakes its connection, that is this task.
        while let Poll::Ready(Some(())) = running.poll_next_unpin(context) {}
        Poll::Pending
    })
    .await
}
