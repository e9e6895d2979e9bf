//! Somebody else's webhook in the Pod.

use std::net::IpAddr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use tokenlab_webhook::manifests::{CERTIFICATES, Foreign, PORT};

use crate::webhook::{Contract, WebhookPath, Words};

/// How a container is run whose image is somebody else's: what it is told, and by what.
///
/// Its environment has `TOKENLAB_WEBHOOK_PORT`, `TOKENLAB_WEBHOOK_ADDRESS`,
/// `TOKENLAB_WEBHOOK_TLS_CERT_FILE`, `TOKENLAB_WEBHOOK_TLS_KEY_FILE` and `TOKENLAB_WEBHOOK_DIR`, as
/// that of a [`WebhookCommand`](crate::WebhookCommand) has. It runs as user
/// and group 65532, whatever user the image names: an image without one would be root's, and refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForeignContainer {
    /// Its arguments, with placeholders; `None`: those that the image has.
    pub args: Option<Words>,
    /// The port that it listens on, on every address.
    pub port: u16,
    /// The folder in which it finds `tls.crt` and `tls.key`.
    pub certificates: Utf8PathBuf,
    /// Where it takes reviews.
    pub path: WebhookPath,
}

impl Default for ForeignContainer {
    /// The image's own arguments, port 8443, the product's folder, `/authenticate`.
    fn default() -> Self {
        Self {
            args: None,
            port: PORT,
            certificates: CERTIFICATES.into(),
            path: WebhookPath::default(),
        }
    }
}

impl ForeignContainer {
    /// What the container is told, behind a Service of this address.
    pub(crate) fn told(&self, cluster_ip: Option<IpAddr>) -> Foreign {
        let contract = Contract {
            // Where the kernel has IPv6 switched off, `[::]` cannot be listened on.
            host: match cluster_ip {
                Some(IpAddr::V6(_)) => "[::]",
                Some(IpAddr::V4(_)) | None => "0.0.0.0",
            },
            port: self.port,
            folder: self.certificates.clone(),
        };
        Foreign {
            args: self.args.as_ref().map(|words| words.told(&contract)),
            env: contract.variables().collect(),
            port: self.port,
            certificates: self.certificates.to_string(),
            path: self.path.as_str().to_owned(),
        }
    }
}
