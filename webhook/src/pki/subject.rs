//! The subject of a client certificate, in which an attribute may stand several times.
//!
//! rcgen 0.14 keeps one value for each attribute (`DistinguishedName` is a map), but a Kubernetes
//! user is in as many groups as its certificate has organizations. So rcgen makes the certificate,
//! and here its subject is exchanged and the whole signed again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, SigningKey};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;

/// `id-at-organizationName`, 2.5.4.10, as an encoded object identifier (RFC 5280, appendix A.1).
const ORGANIZATION: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x0a];
/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];

/// The DER of `certificate` under another subject, signed again by `key`, its issuer's.
///
/// The subject names the organizations first, each in an RDN of its own, then the common name.
pub(super) fn rewrite(
    certificate: &[u8],
    common_name: &str,
    organizations: &[&str],
    key: &KeyPair,
) -> Result<Vec<u8>, rcgen::Error> {
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
    let mut whole = certificate;
    let mut parts = take(&mut whole).content;
    let to_be_signed = take(&mut parts);
    let algorithm = take(&mut parts);

    // TBSCertificate ::= SEQUENCE { version, serialNumber, signature, issuer, validity, subject, … }
    let mut rest = to_be_signed.content;
    let before: Vec<u8> = (0..5)
        .flat_map(|_| take(&mut rest).whole.to_vec())
        .collect();
    take(&mut rest);

    let names: Vec<u8> = organizations
        .iter()
        .map(|organization| (ORGANIZATION, *organization))
        .chain([(COMMON_NAME, common_name)])
        .flat_map(|(attribute, value)| relative_name(attribute, value))
        .collect();
    let to_be_signed = wrap(SEQUENCE, &[&before, &wrap(SEQUENCE, &[&names]), rest]);

    let signature = key.sign(&to_be_signed)?;
    // The first octet of a BIT STRING counts its unused bits.
    let signature = wrap(BIT_STRING, &[&[0], &signature]);
    Ok(wrap(
        SEQUENCE,
        &[&to_be_signed, algorithm.whole, &signature],
    ))
}

/// A certificate's DER as a PEM block (RFC 7468: 64 characters a line).
pub(super) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

fn relative_name(attribute: [u8; 5], value: &str) -> Vec<u8> {
    let value = wrap(UTF8_STRING, &[value.as_bytes()]);
    wrap(SET, &[&wrap(SEQUENCE, &[&attribute, &value])])
}

struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// Takes one element off the front. Only ever given what rcgen wrote a moment ago.
fn take<'a>(input: &mut &'a [u8]) -> Element<'a> {
    const MUST: &str = "rcgen must write well-formed DER";
    let bytes = *input;
    let first = usize::from(*bytes.get(1).expect(MUST));
    // Up to 127 the second octet is the length; above, it counts the octets of the length.
    let (length, header) = if first < 0x80 {
        (first, 2)
    } else {
        let header = 2 + (first & 0x7f);
        let octets = bytes.get(2..header).expect(MUST);
        let length = octets
            .iter()
            .fold(0, |length, octet| (length << 8) | usize::from(*octet));
        (length, header)
    };
    let (whole, rest) = bytes.split_at_checked(header + length).expect(MUST);
    *input = rest;
    Element {
        whole,
        content: &whole[header..],
    }
}

fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut element = vec![tag];
    let length = content.len().to_be_bytes();
    let leading = length.iter().take_while(|octet| **octet == 0).count();
    match &length[leading..] {
        [] => element.push(0),
        [short] if *short < 0x80 => element.push(*short),
        octets => {
            let count = u8::try_from(octets.len()).expect("a usize must have few octets");
            element.push(0x80 | count);
            element.extend_from_slice(octets);
        }
    }
    element.extend(content);
    element
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::super::{Certificate, CertificateAuthority};
    use super::*;

    fn subject(certificate: &Certificate) -> Vec<u8> {
        let der = CertificateDer::from_pem_slice(certificate.certificate_pem().as_bytes())
            .expect("a certificate");
        let mut whole: &[u8] = &der;
        let mut parts = take(&mut whole).content;
        let mut fields = take(&mut parts).content;
        for _ in 0..5 {
            take(&mut fields);
        }
        take(&mut fields).whole.to_vec()
    }

    #[test]
    fn every_organization_stands_in_the_subject() {
        let authority = CertificateAuthority::new("lab").expect("an authority");
        let certificate = authority.client("ann", &["a", "bc"]).expect("a client");
        // Written by hand after RFC 5280, section 4.1.2.4.
        let expected = b"\x30\x27\
            \x31\x0a\x30\x08\x06\x03\x55\x04\x0a\x0c\x01a\
            \x31\x0b\x30\x09\x06\x03\x55\x04\x0a\x0c\x02bc\
            \x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03ann";
        assert_eq!(subject(&certificate), expected);
    }

    #[rstest]
    #[case::empty(0, &[0x04, 0x00])]
    #[case::longest_short_form(0x7f, &[0x04, 0x7f])]
    #[case::shortest_long_form(0x80, &[0x04, 0x81, 0x80])]
    #[case::two_octets(0x1234, &[0x04, 0x82, 0x12, 0x34])]
    fn lengths_go_there_and_back(#[case] length: usize, #[case] header: &[u8]) {
        let content = vec![0xaa; length];
        let element = wrap(0x04, &[&content]);
        assert_eq!(element, [header, &content].concat());
        let mut input = &*[&element[..], b"rest"].concat();
        assert_eq!(take(&mut input).content, content);
        assert_eq!(input, b"rest");
    }
}
