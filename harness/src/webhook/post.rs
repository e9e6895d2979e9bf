//! A body posted to a webhook as the apiserver posts one: by the file that tells the apiserver how
//! to reach it.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use serde_json::Value;
use tokenlab_webhook::{ApiVersion, BODY_LIMIT, Token};
use url::Url;

use super::credentials::{self, CredentialError, Seen};
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::runtime;

/// How long kube-apiserver waits for an answer
/// (`apiserver/pkg/util/webhook/webhook.go`, `defaultRequestTimeout`, v0.37.2).
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a webhook answered to a request that was posted to it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: http::StatusCode,
    /// The body, as it came; a mebibyte at the most. What others write may repeat the token that it was asked about.
    pub body: String,
}

/// Why a webhook gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// What it is to be reached by cannot be used.
    #[error("what it is reached by cannot be used")]
    Credentials(#[from] CredentialError),
    /// Its name is not known.
    #[error("its host `{host}` has no address")]
    Unknown {
        /// The host.
        host: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else than TLS came.
    #[error("it does not speak TLS")]
    NotTls(#[source] rustls::Error),
    /// Its certificate leads to no authority that was given.
    #[error("its certificate is of another authority than the one that was given")]
    Authority(#[source] rustls::Error),
    /// Its certificate is for others.
    #[error("its certificate does not have the name that it is called by")]
    Name(#[source] rustls::Error),
    /// Its certificate is no good: it has expired, for example.
    #[error("its certificate is not valid")]
    Certificate(#[source] rustls::Error),
    /// It wants a certificate of its caller, or another one.
    #[error("it does not take its caller's certificate, or wants one")]
    Caller(#[source] rustls::Error),
    /// Something else of TLS failed.
    #[error("TLS failed")]
    Tls(#[source] rustls::Error),
    /// It does not end, or might as well not.
    #[error("its answer is larger than {BODY_LIMIT} octets")]
    TooLarge,
    /// No connection, or none that held.
    #[error("no answer came")]
    Http(#[source] reqwest::Error),
    /// The same, on a connection that somebody else had made.
    #[error("no answer came")]
    Through(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PostError {
    /// Whether it may pass by itself: nobody listens yet.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Unknown { .. })
    }

    fn of(error: reqwest::Error) -> Self {
        match tls(&error) {
            Some(tls) => Self::of_tls(tls),
            // The URL in it has another name than the one that the webhook is known by.
            None => Self::Http(error.without_url()),
        }
    }

    pub(super) fn of_tls(tls: &rustls::Error) -> Self {
        use CertificateError as C;
        use rustls::Error as E;
        match tls {
            E::InvalidMessage(_) => Self::NotTls(tls.clone()),
            // The last one is an authority's own that has the same name and another key.
            E::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
                Self::Authority(tls.clone())
            }
            E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
                Self::Name(tls.clone())
            }
            E::InvalidCertificate(_) => Self::Certificate(tls.clone()),
            E::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::DecryptError
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied,
            ) => Self::Caller(tls.clone()),
            _ => Self::Tls(tls.clone()),
        }
    }
}

/// What rustls said, somewhere among the causes.
pub(super) fn tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(unwrapped)
}

/// An `io::Error` does not count what it wraps among its causes, and may wrap another one.
fn unwrapped<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(wrapping) => unwrapped(wrapping.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// Posts a body, and returns the answer, whatever it is.
pub(crate) async fn post(config: &Kubeconfig, body: String) -> Result<Answer, PostError> {
    post_seeing(config, body, &Seen::default()).await
}

/// The same, with the certificate that was shown.
pub(crate) async fn post_seeing(
    config: &Kubeconfig,
    body: String,
    seen: &Seen,
) -> Result<Answer, PostError> {
    let mut tls = tls_seeing(config, seen)?;
    match send(config, tls.clone(), body.clone()).await {
        // A server that refuses its caller's certificate says so when the handshake is over (TLS
        // 1.3), and HTTP/2 has lost that by then: HTTP/1.1 tells.
        Err(PostError::Http(error)) if !error.is_connect() && !error.is_timeout() => {
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            send(config, tls, body).await
        }
        answered => answered,
    }
}

/// What the apiserver speaks TLS by to the webhook of this file: HTTP/2, or else HTTP/1.1.
pub(crate) fn tls_of(config: &Kubeconfig) -> Result<rustls::ClientConfig, CredentialError> {
    tls_seeing(config, &Seen::default())
}

fn tls_seeing(config: &Kubeconfig, seen: &Seen) -> Result<rustls::ClientConfig, CredentialError> {
    runtime::install_crypto_provider();
    let authorities = credentials::authorities(&config.certificate_authority)?;
    credentials::client(authorities, &config.identity, seen)
}

async fn send(
    config: &Kubeconfig,
    tls: rustls::ClientConfig,
    body: String,
) -> Result<Answer, PostError> {
    let way = Way::open(config, tls).await?;
    let request = way
        .request(http::Method::POST, way.url.clone())
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body);
    let (head, body) = answer(request).await?;
    Ok(Answer {
        status: head.status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// How a webhook is reached. Clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Follows no redirect, asks no proxy, and waits as long as the apiserver does.
    client: reqwest::Client,
    /// The URL that TokenReviews are posted to.
    pub(crate) url: Url,
    /// The apiserver's own, where the file has one.
    token: Option<Token>,
}

impl Way {
    /// Looks the address up; nothing is connected yet.
    pub(crate) async fn open(
        config: &Kubeconfig,
        tls: rustls::ClientConfig,
    ) -> Result<Self, PostError> {
        let mut url = place(config)?;
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let found = addresses(&url).await?;
        let name = config.tls_server_name.as_deref();
        let called = name.or(url.host_str()).unwrap_or_default();
        client = client.resolve_to_addrs(called, &found);
        if let Some(name) = name {
            let set = url.set_host(Some(name));
            set.map_err(|_no_host| CredentialError::ServerName)?;
        }
        let token = match &config.identity {
            Identity::Token(token) => Some(token.clone()),
            _ => None,
        };
        let client = client.build().map_err(PostError::of)?;
        Ok(Self { client, url, token })
    }

    /// A request that shows what the apiserver shows.
    pub(crate) fn request(&self, method: http::Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }
}

/// The URL that TokenReviews are posted to, as the apiserver's client makes it: it cleans the path, which
/// is all that counts behind the host (`client-go/rest/request.go`, `NewRequest`, v0.37.2). By its
/// `?timeout=30s` the journal knows the apiserver, so that is left to it.
pub(super) fn place(config: &Kubeconfig) -> Result<Url, CredentialError> {
    let url = Url::parse(&config.server).ok().filter(Url::has_host);
    let mut url = url.ok_or(CredentialError::Url)?;
    let path: Vec<_> = url.path().split('/').filter(|it| !it.is_empty()).collect();
    let path = format!("/{}", path.join("/"));
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// Where a webhook may listen.
async fn addresses(url: &Url) -> Result<Vec<SocketAddr>, PostError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.map_err(|source| PostError::Unknown {
        host: host.to_owned(),
        source,
    })?;
    Ok(found.collect())
}

/// Sends a request; the answer's head, and its body where that is not too large.
pub(crate) async fn answer(
    request: reqwest::RequestBuilder,
) -> Result<(http::response::Parts, Vec<u8>), PostError> {
    let answered = async {
        let mut response = request.send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_LIMIT {
                return Ok(None);
            }
        }
        let head = http::Response::from(response).into_parts().0;
        Ok(Some((head, body)))
    };
    let answered = answered.await.map_err(PostError::of)?;
    answered.ok_or(PostError::TooLarge)
}

impl Answer {
    /// Whether this is a TokenReview's answer, right or wrong, and not that of something else.
    pub(super) fn is_review(&self) -> bool {
        serde_json::from_str::<Value>(&self.body).is_ok_and(|body| body["status"].is_object())
    }
}

/// A question that every webhook can answer.
pub(super) fn question(version: ApiVersion) -> String {
    serde_json::json!({
        "apiVersion": version.as_str(),
        "kind": "TokenReview",
        "spec": { "token": "is anybody there?" },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Go's servers and rustls' say so of a certificate that has expired.
    #[rstest]
    #[case(AlertDescription::CertificateExpired)]
    #[case(AlertDescription::CertificateRevoked)]
    #[case(AlertDescription::UnsupportedCertificate)]
    #[case(AlertDescription::DecryptError)]
    fn what_is_said_of_the_callers_certificate(#[case] alert: AlertDescription) {
        let error = PostError::of_tls(&rustls::Error::AlertReceived(alert));
        assert!(matches!(error, PostError::Caller(_)), "{error:?}");
    }
}
