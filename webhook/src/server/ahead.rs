//! A socket that is read in larger pieces than are asked for.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The largest record of TLS (RFC 8446, section 5.2) with its head.
const RECORD: usize = 5 + 16 * 1024 + 256;

/// Below TLS. rustls asks for 4 KiB at a time (`msgs/deframer/buffers.rs`, `READ_SIZE`, v0.23.46):
/// four or five system calls for a record, where one is enough.
pub(super) struct Ahead {
    socket: TcpStream,
    /// What was read and not yet asked for. A connection that waits has nothing here.
    rest: Bytes,
}

impl Ahead {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            rest: Bytes::new(),
        }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // One for all connections of a thread, since there are many.
        thread_local!(static ROOM: RefCell<Box<[u8]>> = RefCell::new(vec![0; RECORD].into()));
        if self.rest.is_empty() {
            return ROOM.with_borrow_mut(|room| {
                let mut room = ReadBuf::new(room);
                ready!(Pin::new(&mut self.socket).poll_read(context, &mut room))?;
                let room = room.filled();
                let (now, rest) = room.split_at(room.len().min(buffer.remaining()));
                buffer.put_slice(now);
                self.rest = Bytes::copy_from_slice(rest);
                Poll::Ready(Ok(()))
            });
        }
        let now = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(now));
        if self.rest.is_empty() {
            // It would keep its memory.
            self.rest = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn nothing_is_lost_or_kept() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).await.expect("a connection");
        let mut ahead = Ahead::new(listener.accept().await.expect("a connection").0);
        let sent: Vec<u8> = (0..=250).cycle().take(3 * RECORD).collect();
        let write = async {
            client.write_all(&sent).await.expect("octets are taken");
            client.shutdown().await.expect("an end");
        };
        let read = async {
            let (mut all, mut kept) = (Vec::new(), false);
            let mut piece = [0; 1000];
            while let Ok(count @ 1..) = ahead.read(&mut piece).await {
                all.extend_from_slice(&piece[..count]);
                kept |= !ahead.rest.is_empty();
            }
            (all, kept)
        };
        let ((), (all, kept)) = tokio::join!(write, read);
        assert!(all == sent);
        assert!(kept, "more is read than is asked for");
        assert_eq!(ahead.rest.len(), 0);
    }
}
