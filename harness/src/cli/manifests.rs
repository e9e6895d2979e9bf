//! `tokenlab manifests`.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use tokenlab_harness::{IMAGE_NAME, ImageName, Manifests};
use tokenlab_webhook::manifests::{label, service_address};
use tokenlab_webhook::pki::CertificateAuthority;

const EXAMPLES: &str = "\
Examples:
  tokenlab manifests --webhook-config webhook-config.yml >deploy.yml
  tokenlab manifests --cluster-ip 10.96.0.53 --webhook-config config.yml |
    kubectl apply --server-side -f -

The file that --webhook-config names is for kube-apiserver's
--authentication-token-webhook-config-file. With --cluster-ip its URL has that
address; without, the name my-authn.kube-system.svc, which must then be made
resolvable where the apiserver runs.";

/// Print the webhook's Deployment and Service, with a fresh certificate, as YAML
///
/// Also printed are the Secret with the certificate AND ITS KEY, and an account without rights. The
/// authority's key is thrown away, so each call's webhook-config.yml goes with that call's
/// Secret and with no other. Both end after 7 days: then the apiserver accepts no answer, until
/// both are made and applied anew. This is what a lab runs, one Pod of the mock; for a cluster of
/// yours `tokenlab-webhook manifests` prints more, and asks who decides.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The Service's address, one of the cluster's service range [default: the cluster chooses]
    #[arg(long, value_name = "IP", value_parser = service_address)]
    cluster_ip: Option<IpAddr>,

    /// The image; one without a registry in its name is never pulled
    #[arg(long, value_name = "NAME[:TAG]", default_value = IMAGE_NAME)]
    image: ImageName,

    /// The namespace, which must be there
    #[arg(long, value_name = "NAME", default_value = "kube-system", value_parser = label)]
    namespace: String,

    /// How many Pods
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    replicas: i32,

    /// Write what the apiserver needs to reach it to this file
    // Standard output is taken: `-` would be a file of that name, unlike in `image build`.
    #[arg(long, value_name = "FILE", value_parser = file)]
    webhook_config: Option<Utf8PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            cluster_ip,
            image,
            namespace,
            replicas,
            webhook_config,
        } = self;
        let manifests = Manifests {
            image: image.into(),
            namespace,
            cluster_ip,
            replicas,
            ..Manifests::default()
        };
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let credentials = manifests.credentials(&authority)?;
        // The file first: when it cannot be written, nothing is applied at a pipe's other end.
        if let Some(path) = webhook_config {
            let client = manifests.client(&authority)?;
            let config = manifests.webhook_config(authority.certificate_pem(), client);
            super::file::place_secret(&path, config.yaml().as_bytes())?;
        }
        let yaml = manifests.yaml(&credentials);
        std::io::stdout().write_all(yaml.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn file(text: &str) -> Result<Utf8PathBuf, &'static str> {
    match text {
        "-" => Err("the manifests go to standard output; name a file, `./-` for one of that name"),
        _ => Ok(text.into()),
    }
}
