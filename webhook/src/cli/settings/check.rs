//! What does not fit together.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::serve::LISTEN;
use super::Told;

/// Settings of which each may be right, but not all of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("{one} cannot be used with {other}")]
    Conflict { one: String, other: String },
    #[error("{one} is of no use without `{other}`")]
    Lacks { one: String, other: &'static str },
    #[error("{place} must be more than 0s")]
    Zero { place: String },
    #[error("{place} must be at least {least}")]
    Low { place: String, least: u32 },
    #[error("{place} names nobody")]
    Nameless { place: String },
    #[error("nobody decides whose a token is")]
    Nobody,
    #[error("there is no certificate to show")]
    NoCertificate,
    #[error("any client could ask whose a token is")]
    AnyClient,
    #[error("{place} is where reviews come in")]
    Taken { place: String },
}

impl Contradiction {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Nobody => Some(
                "give `--token-file FILE`, or `ldap` in the file of `--config`; for a lab `--mock`",
            ),
            Self::NoCertificate => Some(
                "give `--tls-cert-file FILE` and `--tls-private-key-file FILE`; for a lab \
                 `tokenlab-webhook certs` makes both, and `--plain-http` does without",
            ),
            Self::AnyClient => Some(
                "give `--client-ca-file FILE`, so that only the apiserver can; or say \
                 `--no-client-certificates`",
            ),
            Self::Nameless { .. } => {
                Some("give a name; left out whole, it takes every client of the client CA")
            }
            _ => None,
        }
    }
}

/// Less than this no apiserver's head fits in.
const LEAST_HEAD: u32 = 1024;

impl Told {
    /// Finds what does not fit together.
    pub(crate) fn check(&self) -> Result<(), Contradiction> {
        self.check_addresses()?;
        let settings = &self.settings;
        let yes = |setting: Option<bool>| setting == Some(true);
        let tls = [
            ("tls_cert_file", settings.tls_cert_file.is_some()),
            (
                "tls_private_key_file",
                settings.tls_private_key_file.is_some(),
            ),
            ("tls_min_version", settings.tls_min_version.is_some()),
        ];
        let client = [
            ("client_ca_file", settings.client_ca_file.is_some()),
            ("client_name", settings.client_name.is_some()),
        ];
        let directory = [
            ("ldap_limit", settings.ldap_limit.is_some()),
            ("ldap_cache", settings.ldap_cache.is_some()),
        ];

        if yes(settings.mock) {
            let tokens = ("token_file", settings.token_file.is_some());
            self.exclude("mock", [tokens, ("ldap", settings.ldap.is_some())])?;
        } else if settings.token_file.is_none() && settings.ldap.is_none() {
            return Err(Contradiction::Nobody);
        }
        if settings.ldap.is_none() {
            self.need("ldap", directory)?;
        }
        if yes(settings.plain_http) {
            self.exclude("plain_http", tls.into_iter().chain(client))?;
        } else if settings.tls_cert_file.is_none() && settings.tls_private_key_file.is_none() {
            return Err(Contradiction::NoCertificate);
        } else if settings.tls_private_key_file.is_none() {
            self.need("--tls-private-key-file", [tls[0]])?;
        } else if settings.tls_cert_file.is_none() {
            self.need("--tls-cert-file", [tls[1]])?;
        }
        if yes(settings.no_client_certificates) {
            self.exclude("no_client_certificates", client)?;
        } else if settings.client_ca_file.is_none() {
            self.need("--client-ca-file", [client[1]])?;
            if !yes(settings.mock) {
                return Err(Contradiction::AnyClient);
            }
        }
        let names = settings.client_name.as_deref();
        if names.is_some_and(|names| names.is_empty() || names.iter().any(String::is_empty)) {
            let place = self.place("client_name");
            return Err(Contradiction::Nameless { place });
        }
        if (settings.max_head_octets).is_some_and(|octets| octets < LEAST_HEAD) {
            return Err(Contradiction::Low {
                place: self.place("max_head_octets"),
                least: LEAST_HEAD,
            });
        }
        self.check_durations()
    }

    /// Two cannot listen at one place.
    fn check_addresses(&self) -> Result<(), Contradiction> {
        let reviews = self.settings.listen.unwrap_or(LISTEN);
        let is_taken = |health: &SocketAddr| {
            health.port() != 0
                && health.port() == reviews.port()
                && (covers(health.ip(), reviews.ip()) || covers(reviews.ip(), health.ip()))
        };
        match self.settings.health_listen.filter(is_taken) {
            Some(_) => Err(Contradiction::Taken {
                place: self.place("health_listen"),
            }),
            None => Ok(()),
        }
    }

    /// Nothing can be done in no time.
    fn check_durations(&self) -> Result<(), Contradiction> {
        let settings = &self.settings;
        let durations = [
            ("review_timeout", settings.review_timeout),
            ("drain_timeout", settings.drain_timeout),
            ("handshake_timeout", settings.handshake_timeout),
            ("head_timeout", settings.head_timeout),
            ("idle_timeout", settings.idle_timeout),
            ("http2_ping_interval", settings.http2_ping_interval),
            ("http2_ping_timeout", settings.http2_ping_timeout),
        ];
        let zero = durations
            .into_iter()
            .find(|(_, duration)| *duration == Some(Duration::ZERO));
        match zero {
            Some((field, _)) => Err(Contradiction::Zero {
                place: self.place(field),
            }),
            None => Ok(()),
        }
    }

    /// With `one`, which was told, none of these may be.
    fn exclude(
        &self,
        one: &str,
        others: impl IntoIterator<Item = (&'static str, bool)>,
    ) -> Result<(), Contradiction> {
        match others.into_iter().find(|(_, told)| *told) {
            Some((other, _)) => Err(Contradiction::Conflict {
                one: self.place(one),
                other: self.place(other),
            }),
            None => Ok(()),
        }
    }

    /// Without `missing`, none of these may be told.
    fn need(
        &self,
        missing: &'static str,
        all: impl IntoIterator<Item = (&'static str, bool)>,
    ) -> Result<(), Contradiction> {
        match all.into_iter().find(|(_, told)| *told) {
            Some((one, _)) => Err(Contradiction::Lacks {
                one: self.place(one),
                other: missing,
            }),
            None => Ok(()),
        }
    }
}

/// Whether who listens at the one address does so at the other: `[::]` is all of IPv4, too.
fn covers(one: IpAddr, other: IpAddr) -> bool {
    one == other || (one.is_unspecified() && (one.is_ipv6() || other.is_ipv4()))
}
