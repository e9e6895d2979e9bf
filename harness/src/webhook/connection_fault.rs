//! Connections that a webhook breaks: before TLS is up, or when a request has come.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::SockRef;
use tokenlab_webhook::Tls;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long nothing is accepted after that has failed: asked again at once, a system without
/// descriptors would say the same.
const RETRY: Duration = Duration::from_millis(100);

/// What happens to every connection, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionFault {
    /// When the client has begun its handshake.
    AtHandshake(Break),
    /// When TLS is up, with HTTP/1.1, and a request, or its beginning, has come. Without TLS: when
    /// that has come.
    AtRequest(Break),
    /// When TLS is up, with HTTP/2, the first request has come whole, and the client has taken note of
    /// the server's settings. Without TLS: when that is so. Who does not speak HTTP/2 fails at the
    /// handshake, and is not counted.
    AtStream(Break),
}

/// How a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Break {
    /// By a reset (RST).
    Reset,
    /// By an orderly close without a word.
    Close,
    /// Not at all: nothing comes.
    Hang,
    /// By these octets, and then an orderly close: inside TLS where that is up.
    Say(Bytes),
}

/// When connections were broken. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Broken(Arc<Mutex<Vec<Instant>>>);

impl Broken {
    pub(super) fn since_start(&self) -> Vec<Instant> {
        self.instants().clone()
    }

    fn instants(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks whatever connects until it is stopped. Nothing is open any more when this returns.
    pub(super) async fn listen(
        self,
        listener: TcpListener,
        tls: Option<Tls>,
        fault: ConnectionFault,
        stopped: impl Future<Output = ()>,
    ) {
        let mut stopped = pin!(stopped);
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stopped => break,
            };
            let Ok((stream, _)) = accepted else {
                if timeout(RETRY, &mut stopped).await.is_ok() {
                    break;
                }
                continue;
            };
            let spoilt = self.clone().spoil(stream, tls.clone(), fault.clone());
            open.spawn(async {
                // What the client makes of it is its own matter.
                let _ = spoilt.await;
            });
            while open.try_join_next().is_some() {}
        }
        drop(listener);
        open.shutdown().await;
    }

    /// A connection that was only tried, and closed without an octet, is none.
    async fn spoil(
        self,
        mut stream: TcpStream,
        tls: Option<Tls>,
        fault: ConnectionFault,
    ) -> io::Result<()> {
        let (tls, protocol, how) = match fault {
            ConnectionFault::AtHandshake(how) => (None, Protocol::Any, how),
            ConnectionFault::AtRequest(how) => (tls, Protocol::Http1, how),
            ConnectionFault::AtStream(how) => (tls, Protocol::Http2, how),
        };
        let Some(tls) = tls else {
            if protocol.begins(&mut stream).await? {
                self.note();
                match how {
                    Break::Reset => reset(stream)?,
                    how => end(stream, how).await?,
                }
            }
            return Ok(());
        };
        let mut config = (*tls.config()).clone();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
        if protocol.begins(&mut stream).await? {
            self.note();
            match how {
                Break::Reset => reset(stream.into_inner().0)?,
                how => end(stream, how).await?,
            }
        }
        Ok(())
    }

    fn note(&self) {
        self.instants().push(Instant::now());
    }
}

/// What the client is let speak before it is broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// Its own: the first octets count.
    Any,
    Http1,
    Http2,
}

impl Protocol {
    /// RFC 7301, as IANA has registered them.
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Any | Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    /// Waits for the beginning of a request; tells whether there was one before the end.
    async fn begins(self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<bool> {
        match self {
            Self::Any | Self::Http1 => Ok(stream.read(&mut vec![0; 16 << 10]).await? > 0),
            Self::Http2 => match brings_a_request(stream).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                begun => begun.map(|()| true),
            },
        }
    }
}

/// Greets as a server of HTTP/2, and reads until a request has come whole and the greeting is
/// acknowledged (RFC 9113, sections 3.4, 4.1, 6.2 and 6.5): the client has no more to say. If it had,
/// it could take a reset for an end, as the kernel tells of it once, to who writes or to who reads.
async fn brings_a_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    const PREFACE: usize = 24;
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
    const SETTINGS: u8 = 4;
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const ACK: u8 = 1;
    const END_STREAM: u8 = 1;
    stream.read_exact(&mut [0; PREFACE]).await?;
    stream.write_all(&EMPTY_SETTINGS).await?;
    stream.flush().await?;
    let (mut asked, mut acknowledged) = (false, false);
    while !(asked && acknowledged) {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        stream.read_exact(&mut vec![0; length as usize]).await?;
        asked |= matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        acknowledged |= kind == SETTINGS && flags & ACK != 0;
    }
    Ok(())
}

fn reset(stream: TcpStream) -> io::Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

async fn end(mut stream: impl AsyncRead + AsyncWrite + Unpin, how: Break) -> io::Result<()> {
    match how {
        Break::Hang => std::future::pending().await,
        Break::Say(octets) => stream.write_all(&octets).await?,
        Break::Close | Break::Reset => {}
    }
    stream.shutdown().await?;
    // Closed with octets unread, it would be a reset.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}
