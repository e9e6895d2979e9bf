//! One connection's HTTP, all of it in the connection's task.

use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::Protocol;
use super::activity::{Activity, Listening};
use super::limits::Limits;
use super::patience::{LONGEST, Overdue, Patience};
use super::reception::Reception;
use crate::{Caller, Routes};

/// What a connection is read from and written to. One type, with TLS or without: HTTP would be in the
/// program twice.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

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

/// Serves a connection to its end. After `stop` it ends with the requests that are running.
pub(super) async fn drive(
    io: Box<dyn Io>,
    protocol: Protocol,
    routes: Routes,
    caller: Caller,
    limits: &Limits,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (sender, mut arriving) = mpsc::unbounded_channel();
    let builder = builder(Streams(sender), protocol, limits);
    let activity = Arc::new(Activity::new(protocol == Protocol::Http2));
    let io = TokioIo::new(Listening::new(io, Arc::clone(&activity)));
    let reception = Reception::new(routes, caller, Arc::clone(&activity));
    let mut connection = pin!(builder.serve_connection(io, reception));
    let mut stop = pin!(stop);
    let mut patience = Patience::new(limits);
    let mut running = FuturesUnordered::new();
    std::future::poll_fn(|context: &mut Context<'_>| {
        loop {
            if !activity.is_stopping() && stop.as_mut().poll(context).is_ready() {
                activity.stop();
                // That tells the client which requests it may send again. HTTP/1.1 cannot: its
                // next answer says that it is the last, and an idle connection lingers.
                if activity.is_http2() {
                    patience.close();
                    connection.as_mut().graceful_shutdown();
                }
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(ended);
            }
            while let Poll::Ready(Some(mut stream)) = arriving.poll_recv(context) {
                // Most have their answer at once, and need no waker of their own.
                if stream.as_mut().poll(context).is_pending() {
                    running.push(stream);
                }
            }
            // A stream that has something to send wakes its connection, that is this task.
            while let Poll::Ready(Some(())) = running.poll_next_unpin(context) {}
            match patience.poll(context, &activity) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Overdue::Idle) => {
                    patience.close();
                    connection.as_mut().graceful_shutdown();
                }
                Poll::Ready(Overdue::Head) => return Poll::Ready(Err("a slow head".into())),
                Poll::Ready(Overdue::Closing) => return Poll::Ready(Err("a slow end".into())),
            }
        }
    })
    .await
}

fn builder(streams: Streams, protocol: Protocol, limits: &Limits) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    let octets = usize::try_from(limits.head_octets).unwrap_or(usize::MAX);
    builder
        .http1()
        // Its timer would take an idle connection for a slow head; `Patience` tells them apart.
        .header_read_timeout(None)
        // Less it does not take.
        .max_buf_size(octets.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.head_octets)
        .max_pending_accept_reset_streams(limits.resets)
        .keep_alive_interval(limits.ping_interval.min(LONGEST))
        .keep_alive_timeout(limits.ping_timeout.min(LONGEST));
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Plain => builder,
    }
}
