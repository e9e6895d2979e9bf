//! What a server needs to speak TLS.

mod client;
mod files;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, NoServerSessionStorage, VerifierBuilderError};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, InconsistentKeys, ServerConfig};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::pki::Certificate;

pub(crate) use client::common_name;
pub use files::{TlsFiles, TlsFilesError, TlsReload};

/// Why a certificate, a key and a client CA cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Something in the chain's PEM is broken.
    #[error("the certificate chain is not PEM")]
    Chain(#[source] pem::Error),
    /// No `CERTIFICATE` block, or nothing that is PEM.
    #[error("no certificate is in the chain's PEM")]
    NoCertificate,
    /// No `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY` block. Encrypted keys are not read.
    #[error("no unencrypted private key is in the key's PEM")]
    NoKey(#[source] pem::Error),
    /// Each may be sound, but they do not belong together.
    #[error("the key does not match the certificate")]
    Mismatch,
    /// A certificate that is none, or a key of a kind that is not supported.
    #[error("the certificate or the key is not usable")]
    Unusable(#[source] rustls::Error),
    /// Something in the client CA's PEM is broken.
    #[error("the client CA is not PEM")]
    ClientCa(#[source] pem::Error),
    /// No `CERTIFICATE` block: nobody could connect.
    #[error("no certificate is in the client CA's PEM")]
    NoClientCa,
    /// A certificate in the client CA's PEM is none.
    #[error("a certificate of the client CA is not usable")]
    UnusableClientCa(#[source] rustls::Error),
    /// The client CA's certificates are sound, but no verifier can be made of them.
    #[error("the client CA is not usable")]
    Verifier(#[from] VerifierBuilderError),
    /// Names of clients were given, but no client CA: nobody would be asked for a certificate.
    #[error("names of clients need a client CA")]
    NamesWithoutClientCa,
    /// Names of clients were given, but none, or an empty one: which would let in others than who
    /// wrote it had in mind.
    #[error("a client's name is missing, or is empty")]
    EmptyClientName,
}

/// A server's side of TLS: its certificate and key, and which clients it takes. HTTP/2 and
/// HTTP/1.1 by ALPN (`h2`, `http/1.1`).
///
/// Cloning shares it: what [`replace`](Self::replace) puts in is served by every clone, from the
/// next connection on. Those that stand go on unless [`dismiss`](Self::dismiss) ends them.
///
/// Sessions are not resumed. Each connection shows its certificate anew, so that a client CA that
/// was taken away, or a certificate that has expired, opens none; and the apiserver, which keeps
/// one connection, does not ask for it (Go's `tls.Config.ClientSessionCache` is nil in
/// `client-go/transport/transport.go`, v0.37.2).
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    current: RwLock<Current>,
    /// Hears of each dismissal.
    dismissed: watch::Sender<()>,
}

#[derive(Clone)]
struct Current {
    config: Arc<ServerConfig>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

impl Tls {
    /// Serves a certificate of this crate's making, over TLS 1.3, to clients without a certificate.
    pub fn from_certificate(certificate: &Certificate) -> Result<Self, TlsError> {
        Self::from_pem(
            certificate.certificate_pem().as_bytes(),
            certificate.key_pem().as_bytes(),
        )
    }

    /// Serves what [`builder`](Self::builder) takes, over TLS 1.3, to clients without a certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::builder(chain, key).build()
    }

    /// Begins with a chain of PEM certificates, the server's own first, and its key as PEM
    /// (PKCS#8, SEC1 or PKCS#1). Text around the PEM blocks is skipped.
    pub fn builder<'a>(chain: &'a [u8], key: &'a [u8]) -> TlsBuilder<'a> {
        TlsBuilder {
            chain,
            key,
            client_ca: None,
            client_names: None,
            tls12: false,
        }
    }

    /// When the certificate that is served now begins to be valid.
    pub fn not_before(&self) -> OffsetDateTime {
        self.current().not_before
    }

    /// When the certificate that is served now ends to be valid.
    pub fn not_after(&self) -> OffsetDateTime {
        self.current().not_after
    }

    /// Serves what `with` serves now, in all clones of this. Connections that stand are kept, with
    /// what they were opened under.
    pub fn replace(&self, with: &Self) {
        let current = with.current();
        let own = self.0.current.write();
        *own.unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// Ends the connections that stand, as a stop of the server does, but for the running requests:
    /// those are answered. HTTP/2 clients are told by `GOAWAY`, and connect anew. For clients that
    /// another client CA would not let in.
    pub fn dismiss(&self) {
        self.0.dismissed.send_replace(());
    }

    /// Resolves at the next dismissal from now on.
    pub(crate) fn dismissed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut dismissed = self.0.dismissed.subscribe();
        // It fails when nobody is left who could dismiss.
        async move {
            if dismissed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What the next connection is accepted with. For the harness, which breaks connections; rustls is
    /// no part of what this package promises.
    #[doc(hidden)]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current().config
    }

    fn current(&self) -> Current {
        let current = self.0.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").finish_non_exhaustive()
    }
}

/// What [`Tls::builder`] began.
#[derive(Clone, Copy)]
#[must_use]
pub struct TlsBuilder<'a> {
    chain: &'a [u8],
    key: &'a [u8],
    client_ca: Option<&'a [u8]>,
    client_names: Option<&'a [String]>,
    tls12: bool,
}

impl<'a> TlsBuilder<'a> {
    /// Takes only clients with a certificate that one of these CAs (PEM) has signed for clients
    /// (extended key usage `clientAuth`). By default clients are not asked for one.
    pub fn client_ca(mut self, pem: &'a [u8]) -> Self {
        self.client_ca = Some(pem);
        self
    }

    /// Of those takes only clients with one of these names: the certificate's common name, or a
    /// DNS name or URI among its subject alternative names. By default takes all; no name at all
    /// is [`TlsError::EmptyClientName`].
    pub fn client_names(mut self, names: &'a [String]) -> Self {
        self.client_names = Some(names);
        self
    }

    /// Whether TLS 1.2 is spoken beside 1.3. Default no: every apiserver since Kubernetes 1.17
    /// (Go 1.13) speaks 1.3.
    pub fn tls12(mut self, allowed: bool) -> Self {
        self.tls12 = allowed;
        self
    }

    /// Reads all of it.
    pub fn build(self) -> Result<Tls, TlsError> {
        let chain = CertificateDer::pem_slice_iter(self.chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Chain)?;
        let Some(own) = chain.first() else {
            return Err(TlsError::NoCertificate);
        };
        let validity = x509_parser::parse_x509_certificate(own)
            .map(|(_, own)| own.validity().clone())
            .map_err(|_| TlsError::Unusable(CertificateError::BadEncoding.into()))?;
        let key = PrivateKeyDer::from_pem_slice(self.key).map_err(TlsError::NoKey)?;
        let provider = Arc::new(ring::default_provider());
        let clients = match (self.client_ca, self.client_names) {
            (_, Some(names)) if names.is_empty() || names.iter().any(String::is_empty) => {
                return Err(TlsError::EmptyClientName);
            }
            (Some(pem), names) => client::verifier(pem, names, Arc::clone(&provider))?,
            (None, None) => Arc::new(NoClientAuth),
            (None, Some(_)) => return Err(TlsError::NamesWithoutClientCa),
        };
        let versions: &[_] = if self.tls12 {
            &[&TLS13, &TLS12]
        } else {
            &[&TLS13]
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .and_then(|builder| {
                let builder = builder.with_client_cert_verifier(clients);
                builder.with_single_cert(chain, key)
            })
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    TlsError::Mismatch
                }
                error => TlsError::Unusable(error),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let current = RwLock::new(Current {
            config: Arc::new(config),
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
        });
        let (dismissed, _) = watch::channel(());
        Ok(Tls(Arc::new(Shared { current, dismissed })))
    }
}

impl fmt::Debug for TlsBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder")
            .field("client_names", &self.client_names)
            .field("tls12", &self.tls12)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::CertificateAuthority;

    fn certificate() -> Certificate {
        CertificateAuthority::new("lab")
            .and_then(|authority| authority.serving(&["localhost"]))
            .expect("a certificate")
    }

    fn refused(chain: &str, key: &str) -> TlsError {
        Tls::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("not usable")
    }

    #[test]
    fn what_cannot_be_served_is_told_apart() {
        let (one, other) = (certificate(), certificate());
        let (chain, key) = (one.certificate_pem(), one.key_pem());
        let broken = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
        assert!(matches!(refused("", key), TlsError::NoCertificate));
        assert!(matches!(refused(&chain[..99], key), TlsError::Chain(_)));
        assert!(matches!(refused(chain, chain), TlsError::NoKey(_)));
        assert!(matches!(
            refused(chain, other.key_pem()),
            TlsError::Mismatch
        ));
        assert!(matches!(refused(broken, key), TlsError::Unusable(_)));
        Tls::from_pem(format!("# mine\n{chain}").as_bytes(), key.as_bytes()).expect("usable");
    }

    #[test]
    fn debug_shows_nothing() {
        let tls = Tls::from_certificate(&certificate()).expect("usable");
        assert_eq!(format!("{tls:?}"), "Tls(..)");
    }
}
