//! TLS from files, loaded again when they change.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::timeout;

use super::{Tls, TlsError};
use crate::reload::{Contents, INTERVAL, ReadError, ReloadEvent, Watched};

/// Where a server's certificate, key and client CA lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, PEM; its chain may follow.
    pub certificate: PathBuf,
    /// Its key, PEM, not encrypted.
    pub key: PathBuf,
    /// The CAs of clients, PEM. Without them clients are not asked for a certificate.
    pub client_ca: Option<PathBuf>,
    /// As [`TlsBuilder::client_names`](super::TlsBuilder::client_names); None takes all.
    pub client_names: Option<Vec<String>>,
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
    /// No client would take the certificate any more.
    #[error("certificate `{}` expired on {}", path.display(), not_after.date())]
    Expired {
        /// The certificate's file.
        path: PathBuf,
        /// When it did.
        not_after: OffsetDateTime,
    },
    /// No client would take the certificate yet.
    #[error("certificate `{}` is not valid before {not_before}", path.display())]
    Early {
        /// The certificate's file.
        path: PathBuf,
        /// When it will be.
        not_before: OffsetDateTime,
    },
    /// As [`TlsError::NamesWithoutClientCa`] or [`TlsError::EmptyClientName`].
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
            client_names: None,
            tls12: false,
        }
    }

    /// Reads the files: what to serve, and what keeps it up to date when it is run.
    pub fn load(self) -> Result<(Tls, TlsReload), TlsFilesError> {
        let open = |paths| Watched::open(paths).map_err(|error| self.unreadable(error));
        let (serving, pair) = open(vec![self.certificate.clone(), self.key.clone()])?;
        let (clients, client_ca) = open(self.client_ca.iter().cloned().collect())?;
        let tls = self.build(&pair, &client_ca)?;
        self.check_time(&tls)?;
        let reload = TlsReload {
            tls: tls.clone(),
            files: self,
            serving,
            clients,
            pair,
            client_ca,
        };
        Ok((tls, reload))
    }

    fn build(&self, pair: &Contents, client_ca: &Contents) -> Result<Tls, TlsFilesError> {
        let mut builder = Tls::builder(&pair[0], &pair[1]).tls12(self.tls12);
        if let Some(pem) = client_ca.first() {
            builder = builder.client_ca(pem);
        }
        if let Some(names) = &self.client_names {
            builder = builder.client_names(names);
        }
        builder.build().map_err(|source| self.unusable(source))
    }

    /// No client takes a certificate before or after its time.
    fn check_time(&self, tls: &Tls) -> Result<(), TlsFilesError> {
        let now = OffsetDateTime::now_utc();
        let (not_before, not_after) = (tls.not_before(), tls.not_after());
        let path = self.certificate.clone();
        if not_after < now {
            return Err(TlsFilesError::Expired { path, not_after });
        }
        if now < not_before {
            return Err(TlsFilesError::Early { path, not_before });
        }
        Ok(())
    }

    fn unusable(&self, source: TlsError) -> TlsFilesError {
        match (source, &self.client_ca) {
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
            (source @ (TlsError::NamesWithoutClientCa | TlsError::EmptyClientName), _) => {
                TlsFilesError::Names(source)
            }
            (source, _) => TlsFilesError::Serve {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                source,
            },
        }
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
///
/// The client CA is taken whatever has become of the certificate and its key, and they whatever
/// has become of it: who is shut out does not stay in because something else is broken.
pub struct TlsReload {
    tls: Tls,
    files: TlsFiles,
    serving: Watched,
    clients: Watched,
    /// The certificate and the key that are served.
    pair: Contents,
    /// The client CA that is in use, if there is one.
    client_ca: Contents,
}

impl TlsReload {
    /// What is reloaded, in its [`ReloadEvent`]s: the certificate with its key.
    pub const WHAT: &'static str = "certificate";

    /// The other that is reloaded.
    pub const CLIENT_CA: &'static str = "client CA";

    /// As [`Watched::with_interval`].
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.serving = self.serving.with_interval(interval);
        self.clients = self.clients.with_interval(interval);
        self
    }

    /// Loads the files each time they change and tells `report` what became of it; what cannot be
    /// served is not taken. A certificate that is not valid yet is taken when it is. Never ends:
    /// spawn it, or drop it.
    pub async fn run(mut self, report: impl Fn(ReloadEvent)) {
        let mut early = None;
        loop {
            let (what, outcome) = tokio::select! {
                read = next(&mut self.serving, early.as_ref()) => {
                    (Self::WHAT, self.take_pair(read, &mut early))
                }
                read = self.clients.changed() => (Self::CLIENT_CA, self.take_client_ca(read)),
            };
            let outcome = outcome.map_err(Into::into);
            report(ReloadEvent { what, outcome });
        }
    }

    fn take_pair(
        &mut self,
        read: Result<Contents, ReadError>,
        early: &mut Option<(Contents, OffsetDateTime)>,
    ) -> Result<(), TlsFilesError> {
        *early = None;
        let pair = read.map_err(|error| self.files.unreadable(error))?;
        let tls = self.files.build(&pair, &self.client_ca)?;
        let in_time = self.files.check_time(&tls);
        if let Err(TlsFilesError::Early { not_before, .. }) = in_time {
            *early = Some((pair, not_before));
            return in_time;
        }
        in_time?;
        self.tls.replace(&tls);
        self.pair = pair;
        Ok(())
    }

    /// Whether the certificate is still valid is of no matter here. Whom the old one let in has to
    /// come again.
    fn take_client_ca(&mut self, read: Result<Contents, ReadError>) -> Result<(), TlsFilesError> {
        let client_ca = read.map_err(|error| self.files.unreadable(error))?;
        self.tls.replace(&self.files.build(&self.pair, &client_ca)?);
        self.tls.dismiss();
        self.client_ca = client_ca;
        Ok(())
    }
}

impl fmt::Debug for TlsReload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReload")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// The next certificate and key: from their files, or the ones that came too `early` when their
/// time has come.
async fn next(
    serving: &mut Watched,
    early: Option<&(Contents, OffsetDateTime)>,
) -> Result<Contents, ReadError> {
    let Some((pair, not_before)) = early else {
        return serving.changed().await;
    };
    let wait = *not_before - OffsetDateTime::now_utc();
    // At least so long, so that a clock that is set back makes no loop of it.
    let wait = wait.try_into().unwrap_or(Duration::ZERO).max(INTERVAL);
    let changed = timeout(wait, serving.changed()).await;
    changed.unwrap_or_else(|_| Ok(pair.clone()))
}

#[cfg(test)]
mod tests;
