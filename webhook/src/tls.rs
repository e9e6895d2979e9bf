//! What a server needs to speak TLS.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};

use crate::pki::Certificate;

/// Why a certificate and a key cannot be served.
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
}

/// A server's certificate and key, for TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1 (ALPN `h2`,
/// `http/1.1`). Clients are not asked for certificates. Cloning shares it.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// Serves a certificate of this crate's making.
    pub fn from_certificate(certificate: &Certificate) -> Result<Self, TlsError> {
        Self::from_pem(
            certificate.certificate_pem().as_bytes(),
            certificate.key_pem().as_bytes(),
        )
    }

    /// Serves a chain of PEM certificates, the server's own first, with its key as PEM (PKCS#8,
    /// SEC1 or PKCS#1). Text around the PEM blocks is skipped.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Chain)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::NoKey)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    TlsError::Mismatch
                }
                error => TlsError::Unusable(error),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").finish_non_exhaustive()
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
