//! TLS from files, loaded again when they change.

use std::path::PathBuf;

use super::{Tls, TlsError};
use crate::reload::{ReadError, ReloadEvent, Watched};

/// Where a server's certificate, key and client CA lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, PEM; its chain may follow.
    pub certificate: PathBuf,
    /// Its key, PEM, not encrypted.
    pub key: PathBuf,
    /// The CAs of clients, PEM. Without them clients are not asked for a certificate.
    pub client_ca: Option<PathBuf>,
    /// As [`TlsBuilder::client_names`](super::TlsBuilder::client_names).
    pub client_names: Vec<String>,
    /// As [`TlsBuilder::tls12`](super::TlsBuilder::tls12).
    pub tls12: bool,
}

/// Why files cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFilesError {
    /// One is not there, or not readable.
    #[error("cannot read {what} `{}`", path.display())]
    Read {
        /// `certificate`, `key` or `client CA`.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What is in the certificate's or the key's file cannot be served.
    #[error("cannot serve certificate `{}` with key `{}`", certificate.display(), key.display())]
    Serve {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        source: TlsError,
    },
    /// What is in the client CA's file is of no use.
    #[error("cannot check clients by client CA `{}`", path.display())]
    ClientCa {
        /// The client CA's file.
        path: PathBuf,
        /// Why not.
        source: TlsError,
    },
    /// As [`TlsError::NamesWithoutClientCa`].
    #[error(transparent)]
    Names(TlsError),
}

impl TlsFiles {
    /// A server's certificate and key. Clients need none, and TLS is 1.3.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            client_ca: None,
            client_names: Vec::new(),
            tls12: false,
        }
    }

    /// Reads the files: what to serve, and what keeps it up to date when it is run.
    pub fn load(self) -> Result<(Tls, TlsReload), TlsFilesError> {
        let mut paths = vec![self.certificate.clone(), self.key.clone()];
        paths.extend(self.client_ca.clone());
        let (watched, contents) = Watched::open(paths).map_err(|error| self.unreadable(error))?;
        let tls = self.build(&contents)?;
        let reload = TlsReload {
            tls: tls.clone(),
            files: self,
            watched,
        };
        Ok((tls, reload))
    }

    fn build(&self, contents: &[Vec<u8>]) -> Result<Tls, TlsFilesError> {
        let mut builder = Tls::builder(&contents[0], &contents[1])
            .client_names(&self.client_names)
            .tls12(self.tls12);
        if let Some(pem) = contents.get(2) {
            builder = builder.client_ca(pem);
        }
        builder
            .build()
            .map_err(|source| match (source, &self.client_ca) {
                (
                    source @ (TlsError::ClientCa(_)
                    | TlsError::NoClientCa
                    | TlsError::UnusableClientCa(_)
                    | TlsError::Verifier(_)),
                    Some(path),
                ) => TlsFilesError::ClientCa {
                    path: path.clone(),
                    source,
                },
                (source @ TlsError::NamesWithoutClientCa, _) => TlsFilesError::Names(source),
                (source, _) => TlsFilesError::Serve {
                    certificate: self.certificate.clone(),
                    key: self.key.clone(),
                    source,
                },
            })
    }

    fn unreadable(&self, ReadError { path, source }: ReadError) -> TlsFilesError {
        let what = if path == self.certificate {
            "certificate"
        } else if path == self.key {
            "key"
        } else {
            "client CA"
        };
        TlsFilesError::Read { what, path, source }
    }
}

/// Keeps a [`Tls`] up to date with its files.
#[derive(Debug)]
pub struct TlsReload {
    tls: Tls,
    files: TlsFiles,
    watched: Watched,
}

impl TlsReload {
    /// What is reloaded, in its [`ReloadEvent`]s.
    pub const WHAT: &'static str = "certificate";

    /// As [`Watched::with_interval`].
    #[must_use]
    pub fn with_interval(mut self, interval: std::time::Duration) -> Self {
        self.watched = self.watched.with_interval(interval);
        self
    }

    /// Loads the files each time they change, all together, and tells `report` what became of
    /// it; what cannot be served is not taken. Never ends: spawn it, or drop it.
    pub async fn run(self, report: impl Fn(ReloadEvent)) {
        let Self {
            tls,
            files,
            watched,
        } = self;
        let take = |contents: Vec<Vec<u8>>| {
            tls.replace(&files.build(&contents)?);
            Ok::<_, TlsFilesError>(())
        };
        watched.reload(Self::WHAT, take, report).await;
    }
}
