//! Fetching by HTTP: retried, and resumed where it was cut.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::time::Duration;

use camino::Utf8Path;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use url::{Host, Url};

use super::Patience;
use crate::progress::Bar;

/// How often a request is made.
const TRIES: u32 = 3;
/// An index has some ten thousand bytes; more than this is none.
const TEXT_LIMIT: usize = 8 * 1024 * 1024;

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// No answer: no such host, nobody listens, a certificate that is not trusted…
    #[error("`{address}` gave no answer")]
    Request {
        /// What was asked for.
        address: String,
        /// Why there was none.
        source: reqwest::Error,
    },
    /// An answer that is no success.
    #[error("`{address}` answered {status}{}", tries(*tried))]
    Status {
        /// What was asked for.
        address: String,
        /// The answer.
        status: StatusCode,
        /// How often it was asked for.
        tried: u32,
    },
    /// The connection was cut, or nothing came any more.
    #[error("`{address}` was cut off after {got} bytes{}", tries(*tried))]
    Cut {
        /// What was asked for.
        address: String,
        /// How much there is by now.
        got: u64,
        /// How often it was asked for.
        tried: u32,
        /// How it broke off.
        source: reqwest::Error,
    },
    /// The answer is no text, or too long for what it should be.
    #[error("`{address}` answered something else than an index")]
    NoText {
        /// What was asked for.
        address: String,
    },
    /// The file cannot be written.
    #[error("`{path}` cannot be written")]
    File {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

fn tries(tried: u32) -> String {
    if tried > 1 {
        format!(" ({tried} tries)")
    } else {
        String::new()
    }
}

impl TransferError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Request { .. } | Self::Cut { .. } | Self::NoText { .. } => {
                "connect to the network (HTTPS_PROXY, if it takes one), or set LAB_ENVTEST_INDEX to a mirror".to_owned()
            }
            Self::Status { status, .. } if status.is_server_error() => {
                "try again later, or set LAB_ENVTEST_INDEX to a mirror".to_owned()
            }
            Self::Status { .. } => "set LAB_ENVTEST_INDEX to an index whose archives are there".to_owned(),
            Self::File { .. } => {
                "free some space, or set XDG_DATA_HOME to a folder that can be written".to_owned()
            }
        })
    }

    /// Whether another try may end otherwise.
    fn passes(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Cut { .. } => true,
            Self::Request { source, .. } => {
                !source.is_connect() && !source.is_builder() && !source.is_redirect()
            }
            Self::NoText { .. } | Self::File { .. } => false,
        }
    }
}

/// A client with our limits.
#[derive(Debug)]
pub(super) struct Transfer {
    client: Client,
    retry: Duration,
}

impl Transfer {
    /// A client for a server and what it links to.
    pub(super) fn new(address: &Url, patience: &Patience) -> Result<Self, TransferError> {
        // An error says that there is a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("tokenlab/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .read_timeout(patience.stall);
        // As Go does: a proxy is not asked for what this machine serves itself.
        let client = if is_loopback(address) {
            client.no_proxy()
        } else {
            client
        };
        let client = client.build().map_err(|source| TransferError::Request {
            address: shown(address),
            source,
        })?;
        Ok(Self {
            client,
            retry: patience.retry,
        })
    }

    /// Fetches a text.
    pub(super) async fn text(&self, address: &Url) -> Result<String, TransferError> {
        let mut tried = 1;
        loop {
            let error = match self.try_text(address, tried).await {
                Ok(text) => return Ok(text),
                Err(error) => error,
            };
            self.pause(error, &mut tried).await?;
        }
    }

    async fn try_text(&self, address: &Url, tried: u32) -> Result<String, TransferError> {
        let mut response = self.get(address, 0, tried).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = chunk(&mut response, address, bytes.len() as u64, tried).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > TEXT_LIMIT {
                return Err(TransferError::NoText {
                    address: shown(address),
                });
            }
        }
        String::from_utf8(bytes).map_err(|_| TransferError::NoText {
            address: shown(address),
        })
    }

    /// Fetches a file. What is there already is taken for its beginning; whether it is, only a hash
    /// can tell. Returns whether something was taken over.
    pub(super) async fn file(
        &self,
        address: &Url,
        path: &Utf8Path,
        bar: &Bar,
    ) -> Result<bool, TransferError> {
        let old = path.metadata().map_or(0, |metadata| metadata.len());
        let (mut tried, mut reached) = (1, old);
        loop {
            let error = match self.try_file(address, path, bar, tried).await {
                Ok(resumed) => return Ok(resumed),
                Err(error) => error,
            };
            // Whoever gets on may go on.
            if let TransferError::Cut { got, .. } = error
                && got > reached
            {
                (tried, reached) = (tried.min(2), got);
            }
            self.pause(error, &mut tried).await?;
        }
    }

    async fn try_file(
        &self,
        address: &Url,
        path: &Utf8Path,
        bar: &Bar,
        tried: u32,
    ) -> Result<bool, TransferError> {
        let unwritable = |source| TransferError::File {
            path: path.to_string(),
            source,
        };
        let have = path.metadata().map_or(0, |metadata| metadata.len());
        let mut response = match self.get(address, have, tried).await {
            // There is no more than what is here already.
            Err(TransferError::Status {
                status: StatusCode::RANGE_NOT_SATISFIABLE,
                ..
            }) if have > 0 => {
                return Ok(true);
            }
            other => other?,
        };
        let resumed = have > 0 && begins_at(&response, have);
        let (mut file, mut got) = if resumed {
            (
                OpenOptions::new()
                    .append(true)
                    .open(path)
                    .map_err(unwritable)?,
                have,
            )
        } else {
            (File::create(path).map_err(unwritable)?, 0)
        };
        if let Some(rest) = response.content_length() {
            bar.set_total(got + rest);
        }
        while let Some(chunk) = chunk(&mut response, address, got, tried).await? {
            file.write_all(&chunk).map_err(unwritable)?;
            got += chunk.len() as u64;
            bar.set(got);
        }
        Ok(resumed)
    }

    async fn get(&self, address: &Url, from: u64, tried: u32) -> Result<Response, TransferError> {
        let mut request = self.client.get(address.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = request
            .send()
            .await
            .map_err(|source| TransferError::Request {
                address: shown(address),
                source: source.without_url(),
            })?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(TransferError::Status {
                address: shown(address),
                status,
                tried,
            }),
        }
    }

    /// Waits before the next try, or gives the error back when there shall be none.
    async fn pause(&self, error: TransferError, tried: &mut u32) -> Result<(), TransferError> {
        if !error.passes() || *tried >= TRIES {
            return Err(error);
        }
        tokio::time::sleep(self.retry * *tried).await;
        *tried += 1;
        Ok(())
    }
}

async fn chunk(
    response: &mut Response,
    address: &Url,
    got: u64,
    tried: u32,
) -> Result<Option<bytes::Bytes>, TransferError> {
    response.chunk().await.map_err(|source| TransferError::Cut {
        address: shown(address),
        got,
        tried,
        source: source.without_url(),
    })
}

/// Whether the answer is the part that was asked for: a server may send the whole instead.
fn begins_at(response: &Response, from: u64) -> bool {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// An address as it may be shown: without a password, and without a query, which may be a signature.
pub(super) fn shown(address: &Url) -> String {
    let mut address = address.clone();
    // Those that cannot have one, have none.
    let _ = address.set_username("");
    let _ = address.set_password(None);
    if address.query().is_some() {
        address.set_query(Some("..."));
    }
    address.to_string()
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_an_address_is_not_shown() {
        let address = Url::parse("https://me:secret@example.org/index.yaml?signature=secret")
            .expect("must parse");
        assert_eq!(shown(&address), "https://example.org/index.yaml?...");
    }

    #[test]
    fn only_this_machine_is_asked_without_a_proxy() {
        let loopback = |text| is_loopback(&Url::parse(text).expect("must parse"));
        assert!(
            loopback("http://127.0.0.1:80/")
                && loopback("http://[::1]/")
                && loopback("http://localhost/")
        );
        assert!(!loopback("http://example.org/") && !loopback("http://10.0.0.1/"));
    }
}
