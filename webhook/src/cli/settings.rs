//! What `serve` can be told: by a flag, by a variable of the environment, or in a file.

mod check;
mod file;
mod names;
mod told;
mod yaml;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction::Append;
use clap::ValueEnum;
use serde::{Deserialize, Deserializer};
use tokenlab_webhook::authenticators::{CacheConfig, LimitConfig};
use tokenlab_webhook::duration;

pub(super) use check::Contradiction;
pub(super) use file::FileError;
pub(super) use told::{Source, Told};

use super::log::{Format, Level};

#[cfg(feature = "ldap")]
pub(super) use tokenlab_webhook::authenticators::ldap::LdapConfig;

/// Stands for a directory in a program that cannot ask any.
#[cfg(not(feature = "ldap"))]
#[derive(Clone, Debug)]
pub(super) enum LdapConfig {}

#[cfg(not(feature = "ldap"))]
impl<'de> Deserialize<'de> for LdapConfig {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "this program was built without the feature `ldap`",
        ))
    }
}

/// The oldest version of TLS that is spoken, by the names that kube-apiserver has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
pub(super) enum TlsVersion {
    #[value(name = "VersionTLS12")]
    #[serde(rename = "VersionTLS12")]
    Tls12,
    #[value(name = "VersionTLS13")]
    #[serde(rename = "VersionTLS13")]
    Tls13,
}

/// All of it. A field is a flag (`--max-in-flight`), a variable (`TOKENLAB_WEBHOOK_MAX_IN_FLIGHT`)
/// and a key of the file (`maxInFlight`).
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Settings {
    /// As `--log`, which is a flag of all commands.
    #[arg(skip)]
    pub(super) log: Option<Level>,

    /// As `--log-format`.
    #[arg(skip)]
    pub(super) log_format: Option<Format>,

    /// Recognise EVERY token, as user `mock` of group `group-mock`. For labs only
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Who decides"
    )]
    pub(super) mock: Option<bool>,

    /// Recognise the tokens of this file, which has their hashes; `token` makes its lines
    #[arg(long, value_name = "FILE", help_heading = "Who decides")]
    pub(super) token_file: Option<PathBuf>,

    /// A directory that is asked, too. In the file only.
    #[arg(skip)]
    pub(super) ldap: Option<LdapConfig>,

    /// How many reviews the directory is asked about at once. In the file only.
    #[arg(skip)]
    pub(super) ldap_limit: Option<LimitConfig>,

    /// What is remembered of the directory's answers. In the file only.
    #[arg(skip)]
    pub(super) ldap_cache: Option<CacheConfig>,

    /// Let a token belong to users and groups that begin with `system:`
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Who decides"
    )]
    pub(super) allow_reserved: Option<bool>,

    /// Where reviews come in: address and port; port 0 takes a free one [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS", help_heading = "Connections")]
    pub(super) listen: Option<SocketAddr>,

    /// Where /livez, /readyz and /metrics are, in plain HTTP [default: nowhere]
    #[arg(long, value_name = "ADDRESS", help_heading = "Connections")]
    pub(super) health_listen: Option<SocketAddr>,

    /// The certificate to show, PEM; its chain may follow. Read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub(super) tls_cert_file: Option<PathBuf>,

    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub(super) tls_private_key_file: Option<PathBuf>,

    /// The oldest TLS that is spoken [default: `VersionTLS13`]
    #[arg(long, value_name = "VERSION", help_heading = "Connections")]
    pub(super) tls_min_version: Option<TlsVersion>,

    /// Take only clients with a certificate of these CAs, PEM
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub(super) client_ca_file: Option<PathBuf>,

    /// Of these only clients whose certificate has this name; can be given several times
    #[arg(
        long,
        value_name = "NAME",
        action = Append,
        value_delimiter = ',',
        help_heading = "Connections"
    )]
    pub(super) client_name: Option<Vec<String>>,

    /// Take any client: everybody who reaches the port can ask whose a token is
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Connections"
    )]
    pub(super) no_client_certificates: Option<bool>,

    /// Speak HTTP without TLS: everybody on the way can read the tokens
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        help_heading = "Connections"
    )]
    pub(super) plain_http: Option<bool>,

    /// How long to go on after SIGTERM, not ready, until no new connection comes [default: 0s]
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = duration::parse,
        help_heading = "Connections"
    )]
    #[serde(deserialize_with = "some_duration")]
    pub(super) shutdown_delay: Option<Duration>,

    /// How many reviews may be under way; one more is answered by 429 [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) max_in_flight: Option<NonZeroUsize>,

    /// How long a review may take; then the answer is 503 [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) review_timeout: Option<Duration>,

    /// How long the reviews that are under way may take after a stop [default: 11s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) drain_timeout: Option<Duration>,

    /// What `Retry-After` says with 429 and 503. It multiplies the apiserver's calls [default: none]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) retry_after: Option<Duration>,

    /// The largest body [default: 1048576]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) max_body_octets: Option<NonZeroUsize>,

    /// The largest head of a request [default: 16384]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) max_head_octets: Option<u32>,

    /// How many connections there may be; more wait [default: 16384]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) max_connections: Option<NonZeroUsize>,

    /// How long a TLS handshake may take [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) handshake_timeout: Option<Duration>,

    /// How long the head of an HTTP/1.1 request may take [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) head_timeout: Option<Duration>,

    /// How long a connection may be idle [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) idle_timeout: Option<Duration>,

    /// How many requests may run on an HTTP/2 connection [default: 250]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) http2_max_streams_per_connection: Option<NonZeroU32>,

    /// How many cancelled HTTP/2 requests may wait before the connection is closed [default: 20]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(super) http2_max_resets: Option<usize>,

    /// How long an HTTP/2 connection may be silent before it is pinged [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) http2_ping_interval: Option<Duration>,

    /// How long the answer to a ping may take [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "Limits")]
    #[serde(deserialize_with = "some_duration")]
    pub(super) http2_ping_timeout: Option<Duration>,
}

macro_rules! either {
    ($self:ident, $other:ident, $($field:ident)*) => {
        Self { $($field: $self.$field.or($other.$field),)* }
    };
}

impl Settings {
    /// These settings, and of the others what these do not say.
    pub(super) fn or(self, other: Self) -> Self {
        either!(
            self, other,
            log log_format mock token_file ldap ldap_limit ldap_cache allow_reserved
            listen health_listen tls_cert_file tls_private_key_file tls_min_version
            client_ca_file client_name no_client_certificates plain_http
            shutdown_delay max_in_flight review_timeout drain_timeout retry_after
            max_body_octets max_head_octets max_connections handshake_timeout
            head_timeout idle_timeout http2_max_streams_per_connection
            http2_max_resets http2_ping_interval http2_ping_timeout
        )
    }
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration::deserialize(deserializer).map(Some)
}
