use std::path::Path;

use tempfile::TempDir;
use tokenlab_webhook::pki::CertificateAuthority;

use crate::peer::SERVICE;

/// A certificate for [`SERVICE`] and its key, as files. They go when this is dropped.
pub(crate) struct Material {
    folder: TempDir,
    /// Who signed it, PEM.
    pub(crate) authority: String,
}

impl Material {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let authority = CertificateAuthority::new("test").expect("an authority");
        let certificate = authority.serving(&[SERVICE]).expect("a certificate");
        let write = |name: &str, content: &str| {
            std::fs::write(folder.path().join(name), content).expect("written");
        };
        write("tls.crt", certificate.certificate_pem());
        write("tls.key", certificate.key_pem());
        let authority = authority.certificate_pem().to_owned();
        Self { folder, authority }
    }

    fn path(&self, name: &str) -> String {
        let path: &Path = &self.folder.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// What tells `serve` of it.
    pub(crate) fn args(&self) -> [String; 4] {
        let flag = |flag: &str| flag.to_owned();
        [
            flag("--tls-cert-file"),
            self.path("tls.crt"),
            flag("--tls-private-key-file"),
            self.path("tls.key"),
        ]
    }
}
