//! Connections that a webhook breaks: before TLS is up, or when a request has come.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::SockRef;
use tokenlab_webhook::Tls;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What happens to every connection, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// When the client has begun its handshake.
    AtHandshake(Break),
    /// When TLS is up, with HTTP/1.1, and a request, or its beginning, has come. Without TLS: when
    /// that has come.
    AtRequest(Break),
}

/// How a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// Breaks whatever connects. Dropped, it closes what is open.
    pub(super) async fn listen(
        self,
        listener: TcpListener,
        tls: Option<Tls>,
        fault: ConnectionFault,
    ) {
        let mut open = JoinSet::new();
        loop {
            // A client that is gone again is none.
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let spoilt = self.clone().spoil(stream, tls.clone(), fault.clone());
            open.spawn(async {
                // What the client makes of it is its own matter.
                let _ = spoilt.await;
            });
            while open.try_join_next().is_some() {}
        }
    }

    /// A connection that was only tried, and closed without an octet, is none.
    async fn spoil(
        self,
        mut stream: TcpStream,
        tls: Option<Tls>,
        fault: ConnectionFault,
    ) -> io::Result<()> {
        let (tls, how) = match fault {
            ConnectionFault::AtHandshake(how) => (None, how),
            ConnectionFault::AtRequest(how) => (tls, how),
        };
        let Some(tls) = tls else {
            if begins(&mut stream).await? {
                self.note();
                match how {
                    Break::Reset => reset(stream)?,
                    how => end(stream, how).await?,
                }
            }
            return Ok(());
        };
        let mut config = (*tls.config()).clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
        if begins(&mut stream).await? {
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

/// Waits for the client's first octets; tells whether there were any.
async fn begins(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
    Ok(stream.read(&mut vec![0; 16 << 10]).await? > 0)
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
