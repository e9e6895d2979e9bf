//! `tokenlab-webhook certs`.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use tempfile::NamedTempFile;
use tokenlab_webhook::pki::{CertificateAuthority, VALIDITY};

use super::failure::Failure;

const EXAMPLE: &str = "\
Example:
  tokenlab-webhook certs --out pki --name my-authn.kube-system.svc
  kubectl -n kube-system create secret tls my-authn --cert pki/tls.crt --key pki/tls.key";

/// Make a certificate authority, a serving and a client certificate for a lab
///
/// Writes ca.crt (what the apiserver and the webhook trust), tls.crt and tls.key (what the webhook
/// shows), client.crt and client.key (what the apiserver shows). The authority's key is thrown away.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The folder to write to; made if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// A DNS name or IP address that the server is called by; can be given several times
    #[arg(
        long = "name",
        value_name = "NAME",
        default_values = ["my-authn.kube-system.svc", "localhost", "127.0.0.1"],
    )]
    names: Vec<String>,

    /// The client's name, as in `serve --client-name`
    #[arg(
        long = "client",
        value_name = "NAME",
        default_value = "kube-apiserver",
        value_parser = NonEmptyStringValueParser::new(),
    )]
    client: String,

    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self {
            out,
            names,
            client,
            force,
        } = self;
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let certificate = authority.serving(&names)?;
        let caller = authority.client(&client, &[])?;
        // The names of the keys in Kubernetes' Secrets of type `kubernetes.io/tls`.
        let files = [
            ("ca.crt", authority.certificate_pem(), 0o644),
            ("tls.crt", certificate.certificate_pem(), 0o644),
            ("tls.key", certificate.key_pem(), 0o600),
            ("client.crt", caller.certificate_pem(), 0o644),
            ("client.key", caller.key_pem(), 0o600),
        ];
        fs::create_dir_all(&out).map_err(|source| Failure::Write {
            path: out.clone(),
            source,
        })?;
        // All are looked at and written out before the first gets its name, so that a full disk
        // or a file in the way leaves what was there as it was.
        let mut drafts = Vec::new();
        for (name, content, mode) in files {
            let path = out.join(name);
            if !force && path.symlink_metadata().is_ok() {
                return Err(Failure::Exists { path });
            }
            let draft = draft(&out, content, mode).map_err(|source| Failure::Write {
                path: path.clone(),
                source,
            })?;
            drafts.push((path, draft));
        }
        let mut told = String::new();
        for (path, draft) in drafts {
            place(draft, &path, force)?;
            told = format!("{told}wrote {}\n", path.display());
        }
        let days = VALIDITY.whole_days();
        let names = names.join(", ");
        told = format!("{told}valid for {names}, and for client {client} ({days} days)\n");
        // Who closed stdout did not want to know.
        io::stdout().write_all(told.as_bytes()).ok();
        Ok(())
    }
}

/// The file under a name of its own; it goes when it is dropped.
pub(super) fn draft(dir: &Path, content: &str, mode: u32) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".tokenlab-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

pub(super) fn place(draft: NamedTempFile, path: &Path, force: bool) -> Result<(), Failure> {
    let placed = if force {
        draft.persist(path)
    } else {
        draft.persist_noclobber(path)
    };
    placed.map(drop).map_err(|error| Failure::Write {
        path: path.to_owned(),
        source: error.error,
    })
}
