//! A body posted to a webhook over a connection that somebody else has made to it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokenlab_webhook::BODY_LIMIT;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::credentials::{self, Seen};
use super::post::{Answer, PostError, place, tls};
use crate::kubeconfig::Kubeconfig;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Posts a body as the apiserver does, but for HTTP/1.1, and returns the answer, whatever it is.
pub(crate) async fn post_through<S>(
    stream: S,
    config: &Kubeconfig,
    body: String,
    seen: &Seen,
) -> Result<Answer, PostError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let authorities = credentials::authorities(&config.certificate_authority)?;
    let client = credentials::client(authorities, &config.identity, seen)?;
    // Boxed: with a TLS connection in it, it is what makes the future of a start large.
    match Box::pin(exchange(stream, client, config, body)).await {
        Ok(answer) => Ok(answer),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(PostError::TooLarge)
        }
        Err(error) => Err(match tls(&*error) {
            Some(tls) => PostError::of_tls(tls),
            None => PostError::Through(error),
        }),
    }
}

async fn exchange<S>(
    stream: S,
    mut client: rustls::ClientConfig,
    config: &Kubeconfig,
    body: String,
) -> Result<Answer, BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let url = place(config)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let name = config.tls_server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned())?;
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = http::Request::post(url.path())
        .header(HOST, url.authority())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(body))?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await?.to_bytes();
        Ok::<_, BoxError>(Answer {
            status: head.status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    };
    tokio::pin!(answer);
    // The connection moves the bytes; when it ends, the answer is there or will not be.
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
