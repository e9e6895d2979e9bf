//! TLS as the apiserver's client does it towards a webhook, by what a kubeconfig holds.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, RootCertStore,
    SignatureScheme,
};

use crate::kubeconfig::Identity;

/// What is wrong with PEM that a webhook is to be reached by.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A PEM block is broken.
    #[error("a PEM block in it is broken")]
    Broken(#[source] pem::Error),
    /// There is no `CERTIFICATE` block.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// A certificate that is none.
    #[error("a certificate in it cannot be used")]
    Unusable(#[source] Error),
    /// There is no `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY` block. Encrypted keys are
    /// not read.
    #[error("the key's file has no unencrypted private key")]
    NoKey(#[source] pem::Error),
    /// A file of the client's cannot be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key is of another certificate.
    #[error("the key does not match the certificate")]
    Mismatch,
    /// There is no host in the URL, or it is no URL.
    #[error("its URL is not `https://`, a host and a path")]
    Url,
    /// The `tls-server-name` is none.
    #[error("the name that its certificate is to have is no host's")]
    ServerName,
}

/// The authorities in a CA file.
pub(crate) fn authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let found = certificates(pem)?;
    let mut roots = RootCertStore::empty();
    for certificate in &found {
        roots
            .add(certificate.clone())
            .map_err(CredentialError::Unusable)?;
    }
    Ok(found)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(CredentialError::Broken)?;
    if found.is_empty() {
        return Err(CredentialError::NoCertificate);
    }
    Ok(found)
}

fn read(path: &str) -> Result<String, CredentialError> {
    std::fs::read_to_string(path).map_err(|source| CredentialError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The certificate that a server showed, whether it was good or not.
pub(crate) type Seen = Arc<OnceLock<CertificateDer<'static>>>;

/// What a client of this identity speaks TLS by, to servers of these authorities.
pub(super) fn client(
    authorities: Vec<CertificateDer<'static>>,
    identity: &Identity,
    seen: &Seen,
) -> Result<ClientConfig, CredentialError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots
            .add(authority.clone())
            .map_err(CredentialError::Unusable)?;
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| CredentialError::Unusable(Error::General(error.to_string())))?;
    let verifier = AsGoDoes {
        verifier,
        authorities,
        seen: Arc::clone(seen),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CredentialError::Unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let pair = match identity {
        Identity::ClientCertificate { certificate, key } => {
            Some((certificate.clone(), key.clone()))
        }
        Identity::ClientCertificateFiles { certificate, key } => {
            Some((read(certificate)?, read(key)?))
        }
        Identity::Anonymous | Identity::Token(_) => None,
    };
    let mut config = match pair {
        Some((certificate, key)) => {
            let chain = certificates(&certificate)?;
            let key =
                PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(CredentialError::NoKey)?;
            config
                .with_client_auth_cert(chain, key)
                .map_err(|error| match error {
                    Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                        CredentialError::Mismatch
                    }
                    error => CredentialError::Unusable(error),
                })?
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes what Go takes: also a self-signed certificate that calls itself an authority, when it is
/// itself in the CA file. `openssl req -x509` makes such ones, and webpki refuses them
/// (`CaUsedAsEndEntity`).
#[derive(Debug)]
struct AsGoDoes {
    verifier: Arc<WebPkiServerVerifier>,
    authorities: Vec<CertificateDer<'static>>,
    seen: Seen,
}

impl ServerCertVerifier for AsGoDoes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.seen.get_or_init(|| end_entity.clone().into_owned());
        let verified =
            (self.verifier).verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match verified {
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.authorities.contains(end_entity) =>
            {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.verifier).verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.verifier).verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rcgen::{CertificateParams, IsCa, KeyPair};
    use rstest::rstest;
    use tokenlab_webhook::{ApiVersion, BoxAuthenticator, Mock, Server, Tls, router};

    use super::super::Elsewhere;
    use super::super::post::{PostError, question};

    /// What `openssl req -x509` makes: an authority, by its own word, that serves.
    #[rstest]
    #[case::of_its_address("127.0.0.1", true)]
    #[case::of_another_name("authn.example", false)]
    #[tokio::test]
    async fn a_certificate_that_is_its_own_authority(#[case] name: &str, #[case] trusted: bool) {
        let key = KeyPair::generate().expect("must be made");
        let mut params = CertificateParams::new([name.to_owned()]).expect("must be a name");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("must be made").pem();
        let tls = Tls::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(anywhere, Some(tls.expect("must be usable"))).await;
        let server = server.expect("must listen");
        let url = format!("https://{}/authenticate", server.local_addr());
        let router = router(BoxAuthenticator::new(Mock));
        tokio::spawn(server.serve(router, std::future::pending()));
        let url = url.parse().expect("must be a URL");
        let webhook = Elsewhere::new(&url, &certificate).expect("must be usable");
        let answered = webhook.post(question(ApiVersion::V1)).await;
        match answered {
            Ok(answer) => assert!(trusted && answer.is_review(), "{answer:?}"),
            Err(error) => {
                let name = matches!(
                    &error,
                    super::super::WebhookError::Post {
                        source: PostError::Name(_),
                        ..
                    }
                );
                assert!(!trusted && name, "{error:?}");
            }
        }
    }
}
