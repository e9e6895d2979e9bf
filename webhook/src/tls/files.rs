//! TLS from files, loaded again when they change.

use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;

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
    /// No client would take the certificate any more.
    #[error("certificate `{}` expired on {}", path.display(), not_after.date())]
    Expired {
        /// The certificate's file.
        path: PathBuf,
        /// When it did.
        not_after: OffsetDateTime,
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
        let tls = builder.build().map_err(|source| self.unusable(source))?;
        let not_after = tls.not_after();
        if not_after < OffsetDateTime::now_utc() {
            let path = self.certificate.clone();
            return Err(TlsFilesError::Expired { path, not_after });
        }
        Ok(tls)
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
            (source @ TlsError::NamesWithoutClientCa, _) => TlsFilesError::Names(source),
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
    pub fn with_interval(mut self, interval: Duration) -> Self {
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;
    use crate::pki::CertificateAuthority;

    fn folder() -> TempDir {
        let dir = TempDir::new().expect("a folder");
        let authority = CertificateAuthority::new("lab").expect("an authority");
        let certificate = authority.serving(&["localhost"]).expect("a certificate");
        for (name, content) in [
            ("ca.crt", authority.certificate_pem()),
            ("tls.crt", certificate.certificate_pem()),
            ("tls.key", certificate.key_pem()),
            ("empty", ""),
            ("cut", &authority.certificate_pem()[..99]),
            (
                "none",
                "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
            ),
        ] {
            fs::write(dir.path().join(name), content).expect("written");
        }
        dir
    }

    /// The error with its cause, paths without the folder.
    fn refused(dir: &TempDir, files: TlsFiles) -> String {
        let error = files.load().expect_err("not usable");
        let text = match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        text.replace(&format!("{}/", dir.path().display()), "")
    }

    #[rstest]
    #[case::no_certificate("-", "tls.key", "cannot read certificate `-`: No such file")]
    #[case::no_key("tls.crt", "-", "cannot read key `-`: No such file")]
    #[case::broken(
        "cut",
        "tls.key",
        "cannot serve certificate `cut` with key `tls.key`: the certificate chain is not PEM"
    )]
    fn what_cannot_be_served_is_named(
        #[case] certificate: &str,
        #[case] key: &str,
        #[case] message: &str,
    ) {
        let dir = folder();
        let files = TlsFiles::new(dir.path().join(certificate), dir.path().join(key));
        let error = refused(&dir, files);
        assert!(error.starts_with(message), "{error}");
    }

    #[rstest]
    #[case::missing("-", "cannot read client CA `-`: No such file")]
    #[case::empty("empty", "no certificate is in the client CA's PEM")]
    #[case::key("tls.key", "no certificate is in the client CA's PEM")]
    #[case::cut("cut", "the client CA is not PEM")]
    #[case::no_certificate("none", "a certificate of the client CA is not usable")]
    fn a_client_ca_that_is_none_is_named(#[case] client_ca: &str, #[case] message: &str) {
        let dir = folder();
        let mut files = TlsFiles::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
        files.client_ca = Some(dir.path().join(client_ca));
        let error = refused(&dir, files);
        let prefix = format!("cannot check clients by client CA `{client_ca}`: ");
        let cause = error.strip_prefix(&prefix).unwrap_or(&error);
        assert!(cause.starts_with(message), "{error}");
    }

    #[test]
    fn an_expired_certificate_is_refused() {
        let dir = folder();
        let path = dir.path().join("old.crt");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.not_after = OffsetDateTime::UNIX_EPOCH;
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(&path, certificate.pem()).expect("written");
        fs::write(dir.path().join("old.key"), key.serialize_pem()).expect("written");
        let error = refused(&dir, TlsFiles::new(path, dir.path().join("old.key")));
        assert_eq!(error, "certificate `old.crt` expired on 1970-01-01");
    }

    /// Who names clients believes that others are kept out.
    #[test]
    fn names_without_a_client_ca_are_refused() {
        let dir = folder();
        let mut files = TlsFiles::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
        files.client_names = vec!["kube-apiserver".to_owned()];
        assert_eq!(refused(&dir, files), "names of clients need a client CA");
    }
}
