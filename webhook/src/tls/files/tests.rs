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

#[test]
fn a_certificate_that_is_not_valid_yet_is_refused() {
    let dir = folder();
    let path = dir.path().join("new.crt");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::UNIX_EPOCH + time::Duration::weeks(100_000);
    params.not_after = params.not_before + time::Duration::WEEK;
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(&path, certificate.pem()).expect("written");
    fs::write(dir.path().join("new.key"), key.serialize_pem()).expect("written");
    let error = refused(&dir, TlsFiles::new(path, dir.path().join("new.key")));
    let message = "certificate `new.crt` is not valid before 3886-07-15";
    assert!(error.starts_with(message), "{error}");
}

/// An empty list is no list of everybody.
#[rstest]
#[case::none(&[])]
#[case::empty(&["kube-apiserver", ""])]
fn names_of_nobody_are_refused(#[case] names: &[&str]) {
    let dir = folder();
    let mut files = TlsFiles::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
    files.client_ca = Some(dir.path().join("ca.crt"));
    files.client_names = Some(names.iter().map(|name| (*name).to_owned()).collect());
    let error = refused(&dir, files);
    assert_eq!(error, "a client's name is missing, or is empty");
}

/// Who names clients believes that others are kept out.
#[test]
fn names_without_a_client_ca_are_refused() {
    let dir = folder();
    let mut files = TlsFiles::new(dir.path().join("tls.crt"), dir.path().join("tls.key"));
    files.client_names = Some(vec!["kube-apiserver".to_owned()]);
    assert_eq!(refused(&dir, files), "names of clients need a client CA");
}
