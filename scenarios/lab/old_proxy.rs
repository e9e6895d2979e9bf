//! A proxy before a webhook that speaks HTTP/1.1 and nothing newer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Uri;
use tokenlab_harness::{SERVICE_NAME, Webhook};
use tokenlab_webhook::Tls;
use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::lab::tls_client::connect;

/// It relays as long as the test runs that made it.
pub(crate) struct OldProxy {
    port: u16,
    connections: Arc<AtomicUsize>,
    /// Whether the webhook's answers go on to who asked.
    answers: watch::Sender<bool>,
}

/// What is behind it.
struct Behind {
    port: u16,
    authority: String,
}

impl OldProxy {
    /// One with a certificate of the webhook's own authority.
    pub(crate) async fn before(webhook: &Webhook) -> Self {
        let authority = webhook.authority().expect("must be served here");
        let certificate = authority.serving(&[SERVICE_NAME]).expect("must be made");
        let tls = Tls::from_certificate(&certificate).expect("must be usable");
        let mut tls = (*tls.config()).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(tls));
        let url: Uri = webhook.url().parse().expect("must be a URL");
        let behind = Arc::new(Behind {
            port: url.port_u16().expect("must have one"),
            authority: webhook.certificate_authority().to_owned(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("must listen");
        let port = listener.local_addr().expect("must be bound").port();
        let connections = Arc::<AtomicUsize>::default();
        let count = connections.clone();
        let (answers, are_given) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let relay = relay(stream, tls.clone(), behind.clone(), are_given.clone());
                tokio::spawn(relay);
            }
        });
        Self {
            port,
            connections,
            answers,
        }
    }

    /// Where a webhook's file finds it.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}{}", self.port, tokenlab_webhook::PATH)
    }

    /// From now on who connects gets no answer.
    pub(crate) fn withhold_answers(&self) {
        self.answers.send_replace(false);
    }

    /// Everybody gets all the answers that there are.
    pub(crate) fn give_answers(&self) {
        self.answers.send_replace(true);
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn relay(
    stream: TcpStream,
    tls: TlsAcceptor,
    behind: Arc<Behind>,
    mut are_given: watch::Receiver<bool>,
) -> io::Result<u64> {
    let before = tls.accept(stream).await?;
    let behind = connect(behind.port, &behind.authority, SERVICE_NAME).await?;
    let (mut requests, mut to_before) = io::split(before);
    let (mut answers, mut to_behind) = io::split(behind);
    let back = async {
        let given = are_given.wait_for(|given| *given).await;
        given.map_err(io::Error::other)?;
        io::copy(&mut answers, &mut to_before).await
    };
    // Whichever side is done, so is the other.
    tokio::select! {
        ended = io::copy(&mut requests, &mut to_behind) => ended,
        ended = back => ended,
    }
}
