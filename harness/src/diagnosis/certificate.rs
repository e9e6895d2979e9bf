//! What can be read of the certificate that a webhook shows.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

/// The certificate that a webhook shows, as far as it matters to who checks it.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The common name, which Go does not look at; none when it has none.
    common_name: Option<String>,
    /// The subject alternative names: DNS names and IP addresses.
    pub(crate) names: Vec<String>,
    /// From when it is valid; UTC.
    pub(crate) not_before: Timestamp,
    /// Until when.
    pub(crate) not_after: Timestamp,
    /// The distinguished name of who signed it.
    issuer: String,
    /// The algorithm of the signature: an object identifier.
    pub(crate) signature: String,
}

impl Certificate {
    /// Reads its DER; none for what is no certificate.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let common = certificate.subject().iter_common_name().next();
        let validity = certificate.validity();
        Some(Self {
            common_name: common.and_then(|name| Some(name.as_str().ok()?.to_owned())),
            names: names.iter().filter_map(name).collect(),
            not_before: time(&validity.not_before)?,
            not_after: time(&validity.not_after)?,
            issuer: certificate.issuer().to_string(),
            signature: certificate.signature_algorithm.algorithm.to_id_string(),
        })
    }
}

fn time(time: &ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(*octets).ok()?).to_string()),
            _ => Some(IpAddr::from(<[u8; 16]>::try_from(*octets).ok()?).to_string()),
        },
        _ => None,
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.names {
            [] => f.write_str("for no name")?,
            names => write!(f, "for {}", names.join(", "))?,
        }
        if let Some(name) = &self.common_name {
            write!(f, " (common name {name})")?;
        }
        let Self {
            not_before,
            not_after,
            issuer,
            ..
        } = self;
        write!(f, ", valid {not_before} to {not_after}, signed by {issuer}")
    }
}
