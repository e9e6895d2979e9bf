//! The certificate that a webhook serves, looked at whether it is trusted or not.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::{Not, Seen};
use crate::assets::chain;
use crate::diagnosis::Certificate;
use crate::kubeconfig::Kubeconfig;
use crate::webhook::{self, authorities, post_seeing};

/// How long a certificate should be valid still.
const LEFT: SignedDuration = SignedDuration::from_hours(24);

/// The algorithms `md5WithRSAEncryption`, `sha1WithRSAEncryption`, the same by another name, and
/// `ecdsa-with-SHA1` (RFC 3279, section 2.2; Go's `crypto/x509/x509.go`). That of an authority in between is seen where TLS is: `answers`.
const WEAK: [(&str, &str); 4] = [
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.3.14.3.2.29", "SHA-1"),
    ("1.2.840.10045.4.1", "SHA-1"),
];

/// The certificate that a webhook serves.
#[derive(Debug)]
pub(super) struct Presented {
    /// The name that it is called by, a DNS name or an IP address.
    called: String,
    certificate: Certificate,
    /// It stands among the file's authorities itself: nobody looks at who has signed it
    /// (`crypto/x509/verify.go`, `Certificate.Verify`, Go 1.26).
    is_pinned: bool,
}

impl Presented {
    /// Asks it for no more than that.
    pub(super) async fn of(config: &Kubeconfig) -> Result<Self, String> {
        let url = Url::parse(&config.server).map_err(|error| error.to_string())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let called = config.tls_server_name.as_deref().unwrap_or(host);
        let seen = webhook::Seen::default();
        let answered = Box::pin(post_seeing(config, String::new(), &seen)).await;
        match (seen.get(), answered) {
            (Some(der), _) => {
                let authorities = authorities(&config.certificate_authority).unwrap_or_default();
                let read = Self::read(called, der, authorities.contains(der));
                read.ok_or("it cannot be read".to_owned())
            }
            (None, Err(error)) => Err(chain(&error)),
            (None, Ok(_)) => Err("TLS was not spoken".to_owned()),
        }
    }

    pub(super) fn read(called: &str, der: &[u8], is_pinned: bool) -> Option<Self> {
        Some(Self {
            called: called.to_owned(),
            certificate: Certificate::read(der)?,
            is_pinned,
        })
    }

    pub(super) fn name(&self) -> Seen {
        let (called, names) = (&self.called, &self.certificate.names);
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
        let (start, end) = (self.certificate.not_before, self.certificate.not_after);
        let now = Timestamp::now();
        if now < start {
            return Err(Not::But(format!("it is valid from {start} on")));
        }
        if now > end {
            return Err(Not::But(format!("it was valid until {end}")));
        }
        Ok(format!("from {start} until {end}"))
    }

    pub(super) fn lasts(&self) -> Seen {
        let end = self.certificate.not_after;
        let told = format!("until {end}");
        if end.duration_since(Timestamp::now()) < LEFT {
            return Err(Not::But(format!("it is valid {told}")));
        }
        Ok(told)
    }

    pub(super) fn signature(&self) -> Seen {
        let signature = &self.certificate.signature;
        match WEAK.iter().find(|(algorithm, _)| algorithm == signature) {
            Some((_, weak)) if self.is_pinned => Ok(format!("{weak}, but the file has it itself")),
            Some((_, weak)) => Err(Not::But(format!("it is signed by {weak}"))),
            None => Ok("it is not".to_owned()),
        }
    }
}

/// Whether a certificate's name is that of a host: `*` stands for the first label. An address can be
/// written in several ways.
fn covers(name: &str, host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return name.parse() == Ok(address);
    }
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    let below = host.split_once('.').map(|(_, domain)| domain);
    name == host
        || name
            .strip_prefix("*.")
            .is_some_and(|domain| below == Some(domain))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::covers;

    #[rstest]
    #[case("a.example", "A.example", true)]
    #[case("*.example", "a.example", true)]
    #[case("*.example", "a.b.example", false)]
    #[case("::1", "0:0:0:0:0:0:0:1", true)]
    #[case("*.0.0.1", "127.0.0.1", false)]
    fn a_name_covers(#[case] name: &str, #[case] host: &str, #[case] expected: bool) {
        assert_eq!(covers(name, host), expected);
    }
}
