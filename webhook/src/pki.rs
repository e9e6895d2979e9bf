//! Certificates for a lab: an authority, and what it issues.
//!
//! An authority lives as long as the value does. Nothing here is meant to guard more than a lab
//! on one machine: keys are made in memory, stay valid for [`VALIDITY`], and cannot be revoked.

mod subject;

use std::fmt;
use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::DnsName;
use time::{Duration, OffsetDateTime};

/// How long a certificate is valid after it was made: 7 days, more than a lab lives.
pub const VALIDITY: Duration = Duration::days(7);

/// How far a certificate's start lies in the past: 1 hour, for clocks that disagree.
pub const BACKDATING: Duration = Duration::hours(1);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A serving certificate was asked for without a name. Go's TLS client, the apiserver's, has
    /// not looked at the common name since Go 1.15: such a certificate would serve nobody.
    #[error("a serving certificate needs at least one name")]
    NoNames,
    /// Neither an IP address nor a DNS name (RFC 1035; a leading `*.` is taken).
    #[error("`{name}` is neither a DNS name nor an IP address")]
    Name {
        /// What was given.
        name: String,
    },
    /// The cryptography or the encoding failed.
    #[error("cannot make a certificate or its key")]
    Make(#[from] rcgen::Error),
}

/// A certificate authority whose key exists in this process only, unless asked for.
///
/// Self-signed, ECDSA P-256, key usage `keyCertSign` and `cRLSign`, no intermediates below it
/// (`pathLenConstraint` 0). Two authorities with one common name are told apart by their key
/// identifiers.
pub struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate_pem: String,
}

impl CertificateAuthority {
    /// Makes an authority with a fresh key.
    pub fn new(common_name: &str) -> Result<Self, PkiError> {
        let mut params = template();
        params.distinguished_name = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key()?)?;
        let certificate_pem = issuer.pem();
        Ok(Self {
            issuer,
            certificate_pem,
        })
    }

    /// The authority's own certificate: one PEM block, what a client trusts.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's key: one PKCS#8 PEM block. Who holds it makes any identity of the lab.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a server's certificate for `names`: DNS names or IP addresses, which become its
    /// subject alternative names; the first is its common name too. Extended key usage
    /// `serverAuth`.
    pub fn serving<N: AsRef<str>>(&self, names: &[N]) -> Result<Certificate, PkiError> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let first = names.first().ok_or(PkiError::NoNames)?.clone();
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(PkiError::Name { name: name.clone() });
        }
        let mut params = leaf(ExtendedKeyUsagePurpose::ServerAuth);
        params.distinguished_name = named(&first);
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        let key = key()?;
        Ok(Certificate {
            certificate_pem: params.signed_by(&key, &self.issuer)?.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// Issues a client's certificate. To a kube-apiserver that trusts this authority for clients
    /// the common name is the user name and the organizations are the groups
    /// (`apiserver/pkg/authentication/request/x509/x509.go`, `CommonNameUserConversion`, v0.37.2).
    /// Extended key usage `clientAuth`.
    pub fn client(
        &self,
        common_name: &str,
        organizations: &[&str],
    ) -> Result<Certificate, PkiError> {
        let key = key()?;
        let draft = leaf(ExtendedKeyUsagePurpose::ClientAuth).signed_by(&key, &self.issuer)?;
        let der = subject::rewrite(draft.der(), common_name, organizations, self.issuer.key())?;
        Ok(Certificate {
            certificate_pem: subject::pem(&der),
            key_pem: key.serialize_pem(),
        })
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// A certificate with its key, both as PEM. `Debug` leaves the key out.
#[derive(Clone)]
pub struct Certificate {
    certificate_pem: String,
    key_pem: String,
}

impl Certificate {
    /// The certificate: one PEM block, without its authority's.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The key: one PKCS#8 PEM block, ECDSA P-256.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// A bare ECDSA P-256 key as a PKCS#8 PEM block, for what signs without a certificate: the
/// apiserver's `--service-account-signing-key-file`. Its `--service-account-key-file` wants
/// [`public_key_pem`].
pub fn signing_key_pem() -> Result<String, PkiError> {
    Ok(key()?.serialize_pem())
}

/// The public half of such a key as a PEM block (`PUBLIC KEY`, RFC 7468 section 13).
///
/// The apiserver's `--service-account-key-file` takes this and not the private key: it looks for
/// the public half of an EC key only in SEC1 (`client-go/util/keyutil/key.go`,
/// `ParsePublicKeysPEM`, v0.37.2).
pub fn public_key_pem(key_pem: &str) -> Result<String, PkiError> {
    Ok(KeyPair::from_pem(key_pem)?.public_key_pem())
}

fn key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn template() -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.not_before = now - BACKDATING;
    params.not_after = now + VALIDITY;
    params
}

fn leaf(purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = template();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn is_name(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || DnsName::try_from(host).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    };
    use rustls::server::WebPkiClientVerifier;
    use rustls::{CertificateError, Error, RootCertStore};

    use super::*;

    const SERVICE: &str = "my-authn.kube-system.svc";

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
    }

    fn roots(authority: &CertificateAuthority) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots
            .add(der(authority.certificate_pem()))
            .expect("an authority");
        Arc::new(roots)
    }

    fn verify_server(
        authority: &CertificateAuthority,
        certificate: &Certificate,
        name: &str,
        at: OffsetDateTime,
    ) -> Result<(), Error> {
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots(authority), provider)
            .build()
            .expect("a verifier");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        verifier
            .verify_server_cert(
                &der(certificate.certificate_pem()),
                &[],
                &name,
                &[],
                unix(at),
            )
            .map(drop)
    }

    fn verify_client(
        authority: &CertificateAuthority,
        certificate: &Certificate,
    ) -> Result<(), Error> {
        let provider = Arc::new(default_provider());
        let verifier: Result<_, VerifierBuilderError> =
            WebPkiClientVerifier::builder_with_provider(roots(authority), provider).build();
        verifier
            .expect("a verifier")
            .verify_client_cert(&der(certificate.certificate_pem()), &[], UnixTime::now())
            .map(drop)
    }

    fn unix(at: OffsetDateTime) -> UnixTime {
        let seconds = u64::try_from(at.unix_timestamp()).expect("after 1970");
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    }

    fn authority() -> CertificateAuthority {
        CertificateAuthority::new("lab").expect("an authority")
    }

    #[rstest]
    #[case::dns(SERVICE)]
    #[case::second_name("localhost")]
    #[case::ipv4("127.0.0.1")]
    #[case::ipv6("::1")]
    #[case::wildcard("a.pods.example")]
    fn a_serving_certificate_is_valid_for_each_of_its_names(#[case] name: &str) {
        let authority = authority();
        let names = [SERVICE, "localhost", "127.0.0.1", "::1", "*.pods.example"];
        let certificate = authority.serving(&names).expect("a certificate");
        verify_server(&authority, &certificate, name, OffsetDateTime::now_utc())
            .expect("valid for its name");
    }

    #[test]
    fn a_serving_certificate_is_valid_for_no_other_name() {
        let authority = authority();
        let certificate = authority.serving(&[SERVICE]).expect("a certificate");
        let error = verify_server(
            &authority,
            &certificate,
            "localhost",
            OffsetDateTime::now_utc(),
        )
        .expect_err("another name");
        assert!(
            matches!(
                error,
                Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
            ),
            "{error}"
        );
    }

    #[rstest]
    #[case::before_the_backdating(-BACKDATING - Duration::minutes(1), false)]
    #[case::within_the_backdating(-BACKDATING + Duration::minutes(1), true)]
    #[case::on_the_last_day(VALIDITY - Duration::minutes(1), true)]
    #[case::after_the_last_day(VALIDITY + Duration::minutes(1), false)]
    fn validity_has_two_ends(#[case] offset: Duration, #[case] valid: bool) {
        let authority = authority();
        let certificate = authority.serving(&[SERVICE]).expect("a certificate");
        let at = OffsetDateTime::now_utc() + offset;
        let verdict = verify_server(&authority, &certificate, SERVICE, at);
        assert_eq!(verdict.is_ok(), valid, "{verdict:?}");
    }

    #[test]
    fn another_authority_of_the_same_name_is_not_trusted() {
        let certificate = authority().serving(&[SERVICE]).expect("a certificate");
        verify_server(
            &authority(),
            &certificate,
            SERVICE,
            OffsetDateTime::now_utc(),
        )
        .expect_err("another key");
    }

    #[test]
    fn usages_do_not_mix() {
        let authority = authority();
        let serving = authority.serving(&[SERVICE]).expect("a certificate");
        let client = authority
            .client("admin", &["system:masters"])
            .expect("a certificate");
        verify_client(&authority, &client).expect("a client");
        verify_client(&authority, &serving).expect_err("a server is no client");
    }

    #[rstest]
    #[case::empty("")]
    #[case::spaces("not a name")]
    #[case::scheme("https://localhost")]
    #[case::port("localhost:443")]
    #[case::two_stars("*.*.example")]
    #[case::not_ascii("bücher.example")]
    fn what_is_no_name_is_refused(#[case] name: &str) {
        let error = authority()
            .serving(&[SERVICE, name])
            .expect_err("no certificate");
        assert_eq!(
            error.to_string(),
            format!("`{name}` is neither a DNS name nor an IP address")
        );
    }

    #[test]
    fn a_server_needs_a_name() {
        let error = authority().serving::<&str>(&[]).expect_err("no names");
        assert!(matches!(error, PkiError::NoNames), "{error}");
    }

    #[test]
    fn the_public_half_is_the_keys_own() {
        let key = signing_key_pem().expect("a key");
        let public = public_key_pem(&key).expect("a public key");
        let public = SubjectPublicKeyInfoDer::from_pem_slice(public.as_bytes()).expect("a key");
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        // PKCS#8 has the point too: the last 65 octets of a P-256 key's SubjectPublicKeyInfo.
        let point = public.last_chunk::<65>().expect("a point");
        let mut places = private.secret_der().windows(65);
        assert!(places.any(|place| place == point));
        public_key_pem("no key").expect_err("no key");
    }

    #[test]
    fn keys_are_pkcs8_and_never_printed() {
        let authority = authority();
        let certificate = authority.serving(&[SERVICE]).expect("a certificate");
        let bare = signing_key_pem().expect("a key");
        for key in [authority.key_pem(), certificate.key_pem().to_owned(), bare] {
            assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
        }
        for printed in [format!("{authority:?}"), format!("{certificate:?}")] {
            assert!(printed.contains("BEGIN CERTIFICATE"), "{printed}");
            assert!(!printed.contains("PRIVATE KEY"), "the key was printed");
        }
    }
}
