//! A plane whose apiserver reaches the webhook at its address, by a file that names others: the
//! authorities of the webhook, and the certificate and key that the apiserver shows it.

use std::borrow::Borrow;

use serde_json::Value;
use tokenlab_harness::Lab;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::sync::{Mutex, OnceCell};

use crate::lab::attempts::comes_to;
use crate::lab::certificates::Pair;
use crate::lab::evidence::Asked;
use crate::lab::rewiring::{Rewired, Turn};
use crate::lab::webhook_file::WebhookFile;
use crate::support::SOON;

/// The names of those files, as [`WebhookFile::by_path`] has them.
pub(crate) const AUTHORITIES: &str = "certificate-authority.pem";
const CERTIFICATE: &str = "client-certificate.pem";
const KEY: &str = "client-key.pem";

pub(crate) struct ByFiles {
    pub(crate) plane: Rewired,
    /// A second authority that the apiserver takes beside the webhook's.
    pub(crate) second: CertificateAuthority,
}

impl Borrow<Lab> for ByFiles {
    fn borrow(&self) -> &Lab {
        &self.plane
    }
}

/// That plane, when it is one's turn. The apiserver may show any certificate, and the webhook serve
/// any.
pub(crate) async fn by_files() -> Turn<ByFiles> {
    static PLANE: OnceCell<Mutex<ByFiles>> = OnceCell::const_new();
    let plane = PLANE.get_or_init(async || Mutex::new(ByFiles::start().await));
    let turn = Turn(plane.await.lock().await);
    turn.plane.webhook().up().await.expect("must listen");
    turn
}

impl ByFiles {
    async fn start() -> Self {
        let second = CertificateAuthority::new("tokenlab-second").expect("must be made");
        let plane = Rewired::start(|plan| {
            let (webhook, folder) = (plan.webhook(), plan.folder());
            let file = WebhookFile::of(plan).by_path(folder);
            let authorities = [webhook.certificate_authority(), second.certificate_pem()];
            let written = folder.write(AUTHORITIES, &authorities.concat());
            written.expect("must be written");
            file.cluster("tls-server-name", Value::Null).text()
        });
        Self {
            plane: plane.await,
            second,
        }
    }

    /// The first authority that the apiserver takes.
    pub(crate) fn first(&self) -> &CertificateAuthority {
        self.plane.webhook().authority().expect("is served here")
    }

    /// From now on the apiserver may show this.
    pub(crate) fn shows(&self, client: &Pair) {
        for (name, text) in [(CERTIFICATE, &client.certificate), (KEY, &client.key)] {
            let written = self.plane.folder().write(name, text);
            written.expect("must be written");
        }
    }

    /// From now on the webhook serves a certificate of this authority for its address; when
    /// `clients` is one, to those alone that show a certificate of it. Connections are closed.
    pub(crate) async fn serve(
        &self,
        by: &CertificateAuthority,
        clients: Option<&CertificateAuthority>,
    ) {
        let serving = Pair::from(by.serving(&["127.0.0.1"]).expect("must be made"));
        let tls = clients.map_or_else(|| serving.tls(), |clients| serving.mutual(clients));
        let served = self.plane.webhook().serve_with(Some(tls)).await;
        served.expect("must serve");
    }

    /// Serves clients with a certificate of this authority alone, until it comes to that; all that
    /// it came to before, and that. The apiserver reads its files at a new connection, and not
    /// within a second of the last time (`client-go/transport/transport.go`,
    /// `cachingCertificateLoader`).
    pub(crate) async fn takes(
        &self,
        clients: &CertificateAuthority,
        what: &str,
        is: impl Fn(&Asked) -> bool,
    ) -> Vec<Asked> {
        let attempt = async || {
            self.serve(self.first(), Some(clients)).await;
            self.plane.asks().await
        };
        comes_to(what, SOON, attempt, is).await
    }
}

/// What the apiserver shows its webhook, by an authority.
pub(crate) fn apiservers(authority: &CertificateAuthority) -> Pair {
    authority
        .client("kube-apiserver", &[])
        .expect("must be made")
        .into()
}
