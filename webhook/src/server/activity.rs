//! Whether anything happens on a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// With what an HTTP/2 connection begins. Who looks which version it is reads so many octets.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much a client is heard out: more than a review that quotes an apiserver's largest token can
/// have, which is six times 1 MiB.
const MOST_UNWANTED: usize = 8 * 1024 * 1024;

/// What is known of a connection's requests. All of its users are in the connection's task; atomic
/// it is because that moves between threads.
#[derive(Debug, Default)]
pub(super) struct Activity {
    running: AtomicUsize,
    begun: AtomicUsize,
    http2: AtomicBool,
    heard: AtomicBool,
    stopping: AtomicBool,
    parting: AtomicBool,
}

/// A connection that is without a request is so in one of two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Nothing came since the last request.
    Idle,
    /// The head of an HTTP/1.1 request has begun to come.
    Head,
}

impl Activity {
    /// Of a connection that is known to speak HTTP/2, or not yet.
    pub(super) fn new(http2: bool) -> Self {
        Self {
            http2: http2.into(),
            ..Self::default()
        }
    }

    /// A request begins; it ends when what this returns is dropped.
    pub(super) fn begin(self: &Arc<Self>, http2: bool) -> Running {
        self.running.fetch_add(1, Relaxed);
        self.begun.fetch_add(1, Relaxed);
        self.http2.store(http2, Relaxed);
        Running(Arc::clone(self))
    }

    /// How many requests have begun so far.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Relaxed)
    }

    /// How it is without a request. None while one is running.
    pub(super) fn pause(&self) -> Option<Pause> {
        if self.running.load(Relaxed) > 0 {
            None
        } else if self.heard.load(Relaxed) && !self.is_http2() {
            Some(Pause::Head)
        } else {
            Some(Pause::Idle)
        }
    }

    /// Whether the server has said its last, and only hears what the client still sends.
    pub(super) fn is_parting(&self) -> bool {
        self.parting.load(Relaxed)
    }

    /// Whether it speaks HTTP/2, as far as is known.
    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether the connection shall take no more requests.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

/// Keeps its connection from being idle.
pub(super) struct Running(Arc<Activity>);

impl Running {
    pub(super) fn activity(&self) -> &Activity {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What came in the meantime was this request's body.
        self.0.heard.store(false, Relaxed);
        self.0.running.fetch_sub(1, Relaxed);
    }
}

/// A stream that notices when something comes. Shut down, it hears its client out.
///
/// To close a socket in which something is unread resets it, and the client may then lose the
/// answer that says why its request was not read to the end. The apiserver repeats what was reset.
pub(super) struct Listening<S> {
    stream: S,
    activity: Arc<Activity>,
    unwanted: usize,
}

impl<S> Listening<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            unwanted: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let heard = &buffer.filled()[before..];
        if !heard.is_empty() {
            self.activity.heard.store(true, Relaxed);
        }
        if heard == PREFACE {
            self.activity.http2.store(true, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.activity.is_parting() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.activity.parting.store(true, Relaxed);
        }
        let mut octets = [0; 4096];
        while self.unwanted < MOST_UNWANTED {
            let mut octets = ReadBuf::new(&mut octets);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut octets));
            // A reset is an end, too.
            if read.is_err() || octets.filled().is_empty() {
                break;
            }
            self.unwanted += octets.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}
