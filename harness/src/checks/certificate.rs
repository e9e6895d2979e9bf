//! The certificate that a webhook serves, looked at without a word on whether it is trusted.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::{Not, Seen};
use crate::assets::chain;
use crate::kubeconfig::Kubeconfig;
use crate::webhook::{addresses, tls_of};

/// How long a certificate should be valid still.
const LEFT: i64 = 24 * 60 * 60;

/// The algorithms `sha1WithRSAEncryption` and `ecdsa-with-SHA1` (RFC 3279, section 2.2).
const SHA1: [&str; 2] = ["1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];

/// What a webhook serves.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The name that it is called by, a DNS name or an IP address.
    called: String,
    /// Its subject alternative names, those two kinds.
    names: Vec<String>,
    /// Unix time, in seconds.
    not_before: i64,
    not_after: i64,
    is_sha1: bool,
}

impl Certificate {
    /// Shakes hands, and looks.
    pub(super) async fn of(config: &Kubeconfig) -> Result<Self, String> {
        let url = Url::parse(&config.server).map_err(|error| error.to_string())?;
        let addresses = addresses(&url).await.map_err(|error| chain(&error))?;
        let mut tls = tls_of(config).map_err(|error| chain(&error))?;
        (tls.dangerous()).set_certificate_verifier(Arc::new(Anybody));
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let called = config.tls_server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(called.clone()).map_err(|error| error.to_string())?;
        let shaken = async {
            let stream = TcpStream::connect(&*addresses).await?;
            TlsConnector::from(Arc::new(tls))
                .connect(name, stream)
                .await
        };
        let stream = shaken.await.map_err(|error| error.to_string())?;
        let shown = stream.get_ref().1.peer_certificates();
        let der = shown.and_then(<[_]>::first).ok_or("no certificate")?;
        Self::read(called, der)
    }

    pub(super) fn read(called: String, der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = parse_x509_certificate(der).map_err(|error| error.to_string())?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map(|names| &*names.value.general_names);
        let validity = parsed.validity();
        Ok(Self {
            called,
            names: names.unwrap_or_default().iter().filter_map(name).collect(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            is_sha1: SHA1.contains(&&*parsed.signature_algorithm.algorithm.to_id_string()),
        })
    }

    pub(super) fn name(&self) -> Seen {
        let Self { called, names, .. } = self;
        if names.is_empty() {
            let but = "it has no subject alternative name: the common name does not count";
            return Err(Not::But(but.to_owned()));
        }
        if names.iter().any(|name| covers(name, called)) {
            return Ok(format!("`{called}`"));
        }
        let names = names.join("`, `");
        Err(Not::But(format!("it is for `{names}`, not for `{called}`")))
    }

    pub(super) fn time(&self) -> Seen {
        let now = Timestamp::now().as_second();
        let (start, end) = (day(self.not_before), day(self.not_after));
        match () {
            () if now < self.not_before => Err(Not::But(format!("it is valid from {start} on"))),
            () if now > self.not_after => Err(Not::But(format!("it was valid until {end}"))),
            () => Ok(format!("from {start} until {end}")),
        }
    }

    pub(super) fn lasts(&self) -> Seen {
        let end = format!("until {}", day(self.not_after));
        if self.not_after - Timestamp::now().as_second() < LEFT {
            return Err(Not::But(format!("it is valid {end}")));
        }
        Ok(end)
    }

    pub(super) fn signature(&self) -> Seen {
        if self.is_sha1 {
            return Err(Not::But("it is signed by SHA-1".to_owned()));
        }
        Ok("no SHA-1".to_owned())
    }
}

/// A time in words.
fn day(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| "some day".to_owned(), |time| time.to_string())
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            Some(address.ok()?.to_string())
        }
        _ => None,
    }
}

/// Whether a certificate's name is that of a host: `*` stands for the first label.
fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    let behind = |host: &'_ str| host.split_once('.').map(|(_, rest)| rest.to_owned());
    name == host
        || name
            .strip_prefix("*.")
            .is_some_and(|rest| behind(&host).as_deref() == Some(rest))
}

/// Takes every certificate; nothing is sent to who shows it.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
