//! Certificates of a webhook's authority with one thing wrong each.

use std::process::{Command, Stdio};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
};
use time::{Duration, OffsetDateTime};
use tokenlab_harness::{RunFolder, SERVICE_NAME};
use tokenlab_webhook::Tls;
use tokenlab_webhook::pki::{Certificate, CertificateAuthority};

use crate::support::skipped;

/// The name of the authority that a lab's webhook has.
pub(crate) const AUTHORITY: &str = "tokenlab-webhook";

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pair {
    /// What a webhook serves it by.
    pub(crate) fn tls(&self) -> Tls {
        let tls = Tls::from_pem(self.certificate.as_bytes(), self.key.as_bytes());
        tls.expect("must be usable")
    }

    /// The same, to clients alone that show a certificate of this authority.
    pub(crate) fn mutual(&self, clients: &CertificateAuthority) -> Tls {
        let tls = Tls::builder(self.certificate.as_bytes(), self.key.as_bytes())
            .client_ca(clients.certificate_pem().as_bytes());
        tls.build().expect("must be usable")
    }
}

impl From<Certificate> for Pair {
    fn from(made: Certificate) -> Self {
        Self {
            certificate: made.certificate_pem().to_owned(),
            key: made.key_pem().to_owned(),
        }
    }
}

/// A right serving certificate for [`SERVICE_NAME`], but for what is changed of it; `authority` is
/// one of the name [`AUTHORITY`].
pub(crate) fn serving(
    authority: &CertificateAuthority,
    change: impl FnOnce(&mut CertificateParams),
) -> Pair {
    let (params, key) = (draft(change), key());
    let certificate = params.signed_by(&key, &issuer(authority));
    Pair {
        certificate: certificate.expect("must be made").pem(),
        key: key.serialize_pem(),
    }
}

/// The same, signed with SHA-1, or why not. rcgen cannot do that; `openssl` can, if the machine has
/// it and its policy lets it, and reads from the folder.
pub(crate) fn signed_with_sha1(
    authority: &CertificateAuthority,
    folder: &RunFolder,
) -> Result<Pair, String> {
    if !skipped::has("openssl") {
        return Err("there is no openssl".to_owned());
    }
    let write = |name, text: &str| folder.write(name, text).expect("must be written");
    // A request names no issuer.
    let params = draft(|it| it.use_authority_key_identifier_extension = false);
    let key = key();
    let request = params.serialize_request(&key).expect("must be made");
    let request = write("sha1.csr", &request.pem().expect("must be PEM"));
    let names = write("sha1.cnf", &format!("subjectAltName=DNS:{SERVICE_NAME}\n"));
    let issuer = write("sha1-ca.crt", authority.certificate_pem());
    let issuers_key = write("sha1-ca.key", &authority.key_pem());
    let mut openssl = Command::new("openssl");
    openssl
        .args(["x509", "-req", "-sha1", "-set_serial", "1", "-days", "1"])
        .args(["-in", request.as_str(), "-extfile", names.as_str()])
        .args(["-CA", issuer.as_str(), "-CAkey", issuers_key.as_str()])
        .stdin(Stdio::null());
    let output = openssl.output();
    // A folder that is kept must hold no authority's key.
    std::fs::remove_file(&issuers_key).expect("must be removed");
    let output = output.expect("must run");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(Pair {
        certificate: String::from_utf8(output.stdout).expect("must be PEM"),
        key: key.serialize_pem(),
    })
}

/// Sets the time that a certificate is valid at, in days from now.
pub(crate) fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now + Duration::days(from);
    params.not_after = now + Duration::days(to);
}

fn draft(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new([SERVICE_NAME.to_owned()]).expect("must be a name");
    params.distinguished_name = named(SERVICE_NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, -1, 1);
    change(&mut params);
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn key() -> KeyPair {
    KeyPair::generate().expect("must be made")
}

fn issuer(authority: &CertificateAuthority) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(AUTHORITY);
    let key = KeyPair::from_pem(&authority.key_pem());
    Issuer::new(params, key.expect("must be its key"))
}
