//! Why the program gave up, and what may help.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[cfg(feature = "ldap")]
use tokenlab_webhook::authenticators::ldap::LdapError;
use tokenlab_webhook::authenticators::token_file::TokenFileError;
use tokenlab_webhook::pki::PkiError;
use tokenlab_webhook::{TlsError, TlsFilesError};

use super::settings::{Contradiction, FileError};

#[derive(Debug, thiserror::Error)]
#[cfg_attr(
    not(feature = "manifests"),
    expect(dead_code, reason = "some of it only `manifests` meets")
)]
pub(crate) enum Failure {
    #[error(transparent)]
    Configuration(#[from] FileError),
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    #[error(transparent)]
    Tls(#[from] TlsFilesError),
    #[error(transparent)]
    TokenFile(#[from] TokenFileError),
    #[cfg(feature = "ldap")]
    #[error("cannot ask the directory of `ldap`")]
    Ldap(#[from] LdapError),
    #[error("cannot read {what} `{}`", path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot use client certificate `{}` with key `{}`", certificate.display(), key.display())]
    Client {
        certificate: PathBuf,
        key: PathBuf,
        source: TlsError,
    },
    #[error("no certificate is in `{}`, or a broken one", path.display())]
    NoCertificate { path: PathBuf },
    #[error("a private key is in `{}`", path.display())]
    KeyInAuthority { path: PathBuf },
    #[error("`{}` has a name that no file of a Secret can have", path.display())]
    FileName { path: PathBuf },
    #[error("`{}` has the name of another file of the Secret", path.display())]
    SameName { path: PathBuf },
    #[error("{place} would let everybody in")]
    HiddenMock { place: String },
    #[error("{place} names `{}`, which is not in the Pod", path.display())]
    NotInPod { place: String, path: PathBuf },
    #[error("`{}` is no client's certificate", certificate.display())]
    NotAClient { certificate: PathBuf },
    #[error("client certificate `{}` is not valid now", certificate.display())]
    NotValid { certificate: PathBuf },
    #[error("cannot print")]
    Print(#[source] io::Error),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot start the threads that serve")]
    Runtime(#[source] io::Error),
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    #[error("cannot go on without what keeps files and health up to date, the log says why")]
    Task,
    #[error("cannot make certificates")]
    Pki(#[from] PkiError),
    #[error("`{}` is there already", path.display())]
    Exists { path: PathBuf },
    #[error("`--expires-in` ends after the year 9999")]
    TooLong,
    #[error("`--expires-in` is less than a second: the token would never be good")]
    TooShort,
    #[error("cannot show the token, so none was made")]
    Told(#[source] io::Error),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl Failure {
    /// The exit code: 2 for what the arguments say, as clap's own, otherwise 1.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Configuration(FileError::Content { .. })
            | Self::Contradiction(_)
            | Self::Pki(PkiError::Name { .. })
            | Self::TooLong
            | Self::HiddenMock { .. }
            | Self::NotInPod { .. }
            | Self::TooShort
            | Self::FileName { .. }
            | Self::SameName { .. } => 2,
            _ => 1,
        }
    }

    /// The way out, where there is one.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Contradiction(contradiction) => contradiction.hint(),
            Self::Tls(TlsFilesError::Read { source, .. }) | Self::Read { source, .. }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Some("`tokenlab-webhook certs --out DIR` makes a certificate and a key for a lab")
            }
            Self::Tls(TlsFilesError::Serve { source, .. }) | Self::Client { source, .. } => {
                match source {
                    TlsError::Mismatch => Some("give the key that this certificate was made for"),
                    TlsError::NoKey(_) => Some(
                        "the file must have `-----BEGIN PRIVATE KEY-----` in it; \
                     `openssl pkey -in KEY` prints an encrypted key so",
                    ),
                    _ => None,
                }
            }
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => {
                    Some("give another address with `--listen`; port 0 takes a free one")
                }
                io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 are for root, give another with `--listen`")
                }
                io::ErrorKind::AddrNotAvailable => Some(
                    "this machine has no such address, `--listen 0.0.0.0:PORT` takes all it has",
                ),
                _ => None,
            },
            Self::Pki(PkiError::Name { .. }) => Some("give a name without scheme, port and path"),
            Self::NoCertificate { .. } | Self::Tls(TlsFilesError::ClientCa { .. }) => {
                Some("the file must have `-----BEGIN CERTIFICATE-----` in it, as ca.crt has")
            }
            Self::KeyInAuthority { .. } => {
                Some("give a file with the authority's certificate alone: it is for everybody")
            }
            Self::FileName { .. } => Some("give it a name of letters, digits, `-`, `_` and `.`"),
            Self::SameName { .. } => Some("give it another name"),
            Self::HiddenMock { .. } => Some("for a lab give `--mock` instead of the file"),
            Self::NotInPod { .. } => Some(
                "give the file with `--file`, and name it /run/tokenlab-webhook/settings/NAME in the \
                 configuration",
            ),
            Self::NotAClient { .. } => {
                Some("its extended key usage must have clientAuth, as client.crt of `certs` has")
            }
            Self::Exists { .. } => Some("`--force` replaces it"),
            _ => None,
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
