//! `tokenlab-webhook manifests`.

mod pod;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::ArgGroup;
use clap::builder::NonEmptyStringValueParser;
use ipnet::IpNet;
use tokenlab_webhook::authenticators::TokenFile;
use tokenlab_webhook::manifests::{
    CLIENT, Credentials, IMAGE_NAME, ImageReference, Manifests, SETTINGS, Serving, label,
    service_address,
};
use tokenlab_webhook::pki::{CertificateAuthority, VALIDITY};

use super::failure::Failure;
use super::kubeconfig::{authority, read};
use super::note;
use super::out::print;
use super::written::Written;

const EXAMPLES: &str = "\
Examples:
  To try it, with certificates that are made here and end after a week:
    tokenlab-webhook manifests --mock --webhook-config webhook-config.yml \\
      --cluster-ip 10.96.0.53 | kubectl apply --server-side -f -

  With certificates of your own: cert-manager keeps the Secret `authn-tls`, and clients.crt is
  the CA of the apiservers' client certificates:
    tokenlab-webhook manifests --image registry.example/authn:v1 --token-file tokens.jsonl \\
      --tls-secret authn-tls --client-ca clients.crt --client-name kube-apiserver \\
      --control-plane 10.0.0.0/28 >deploy.yml

  With a directory; the file names its CA as /run/tokenlab-webhook/settings/ldap-ca.crt:
    tokenlab-webhook manifests --config webhook.yaml --file ldap-ca.crt …";

/// Print what runs the webhook in a cluster, as YAML
///
/// A Deployment of several Pods that are spread over nodes, with a disruption budget, a Service, an
/// account without rights, the client CA, and Secrets WITH THE KEY of the certificate that is made
/// here and with the files that are named. All of them are named my-authn, unless you say otherwise.
/// This is for a cluster of yours; `tokenlab manifests` prints what a lab runs, one Pod of the mock.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("decides").args(["mock", "token_file", "config"]).required(true).multiple(true))]
pub(crate) struct Args {
    /// Recognise EVERY token, as user `mock` of group `group-mock`. For labs only
    #[arg(long, conflicts_with_all = ["token_file", "config"])]
    mock: bool,

    /// The token file, whose contents go into a Secret. `serve` reads it again when that changes
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// The file for `serve --config`, whose contents go into the same Secret
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A file that the configuration names: it is in /run/tokenlab-webhook/settings, by its own
    /// name; can be given several times
    #[arg(long = "file", value_name = "FILE", requires = "config")]
    files: Vec<PathBuf>,

    /// The image; one without a registry in its name is never pulled. A digest (`sha256:…`) says
    /// which one it is, whatever its tag names later. A registry's login is the service
    /// account's: imagePullSecrets that it has stay at the next apply
    #[arg(long, value_name = "NAME[:TAG][@DIGEST]", default_value = IMAGE_NAME)]
    image: ImageReference,

    /// The name of every object
    #[arg(long, value_name = "NAME", default_value = "my-authn", value_parser = label)]
    name: String,

    /// The namespace, which must be there
    #[arg(long, value_name = "NAME", default_value = "kube-system", value_parser = label)]
    namespace: String,

    /// How many Pods
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..))]
    replicas: i32,

    /// The Service's address, one of the cluster's service range. Of an IPv6 one Pods listen on
    /// IPv6, too: give it where Pods have no IPv4 address [default: the cluster chooses]
    #[arg(long, value_name = "IP", value_parser = service_address)]
    cluster_ip: Option<IpAddr>,

    /// Whence reviews may come: the nodes of the control plane, as Pods see them (`kubectl get nodes
    /// -o wide`; an overlay network shows addresses of its own: try it before it matters). Probes and
    /// metrics stay open to Pods, not to other nodes. Can be given several times [default: from
    /// everywhere]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = block)]
    control_plane: Vec<IpNet>,

    /// The name of a client that is let in, in its certificate; can be given several times
    #[arg(
        long = "client-name",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = CLIENT,
        value_parser = NonEmptyStringValueParser::new(),
    )]
    client_names: Vec<String>,

    /// Where to write what kube-apiserver needs to reach it, WITH THE KEY of its client certificate
    #[arg(long, value_name = "FILE", required_unless_present = "tls_secret")]
    webhook_config: Option<PathBuf>,

    /// A Secret of type kubernetes.io/tls that is there, or will be, instead of certificates that
    /// are made here. The certificate must have the Service's name: my-authn.kube-system.svc
    #[arg(long, value_name = "NAME", requires = "client_ca", conflicts_with = "webhook_config", value_parser = label)]
    tls_secret: Option<String>,

    /// The CA of the clients' certificates, PEM. Before another CA signs them apply both, in one
    /// file: the webhook reads it again
    #[arg(long, value_name = "FILE", requires = "tls_secret")]
    client_ca: Option<PathBuf>,

    /// Replace the file of `--webhook-config`, which has the only key that the webhook now takes
    #[arg(long, conflicts_with = "tls_secret")]
    force: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut manifests = Manifests::default();
        self.decide(&mut manifests)?;
        let Self {
            image,
            name,
            namespace,
            replicas,
            cluster_ip,
            control_plane,
            client_names,
            webhook_config,
            tls_secret,
            client_ca,
            force,
            config,
            mock,
            ..
        } = self;
        let manifests = Manifests {
            image,
            name,
            namespace,
            cluster_ip,
            replicas,
            clients: client_names,
            control_plane,
            ..manifests
        };
        let asks_a_directory = !mock && pod::check(&manifests, config)?.ldap.is_some();
        let mut written = None;
        let credentials = if let Some((secret, ca)) = tls_secret.zip(client_ca) {
            Credentials {
                serving: Serving::Secret(secret),
                client_ca: authority(&ca)?,
            }
        } else {
            let authority = CertificateAuthority::new("tokenlab-webhook")?;
            if let Some(path) = webhook_config {
                let client = manifests.client(&authority)?;
                let config = manifests.webhook_config(authority.certificate_pem(), client);
                let draft = Written::draft(path.clone(), &config.yaml(), force)?;
                // It gets its name once all else is done: who closes the pipe keeps the one that
                // fits what runs.
                written = Some((path, draft));
            }
            manifests.credentials(&authority)?
        };
        let yaml = manifests.yaml(&credentials);
        print(yaml.as_bytes()).map_err(Failure::Print)?;
        if manifests.control_plane.is_empty() {
            note("without `--control-plane` there is no NetworkPolicy: every Pod reaches the port");
        }
        if asks_a_directory {
            note("the image must have LDAP: `tokenlab image build --ldap` makes one");
        }
        let Some((path, draft)) = written else {
            note(&kubeconfig(&manifests));
            return Ok(());
        };
        draft.place()?;
        let days = VALIDITY.whole_days();
        note(&format!(
            "the certificates end after {days} days, and nobody renews them"
        ));
        note(&format!(
            "start each kube-apiserver with `{}`, again if it runs with an older one: it reads the \
             file once, and the webhook lets no other client in",
            path.display()
        ));
        Ok(())
    }

    /// Says who decides, and brings the files for that.
    fn decide(&self, manifests: &mut Manifests) -> Result<(), Failure> {
        // The mock is how they are.
        if self.mock {
            return Ok(());
        }
        let (mut args, mut files) = (Vec::new(), BTreeMap::new());
        if let Some(path) = &self.config {
            args.push(format!("--config={SETTINGS}/{CONFIG}"));
            files.insert(CONFIG.to_owned(), read("file", path)?);
        }
        if let Some(path) = &self.token_file {
            TokenFile::load(path)?;
            args.push(format!("--token-file={SETTINGS}/{TOKENS}"));
            files.insert(TOKENS.to_owned(), read("file", path)?);
        }
        for path in &self.files {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.filter(|name| name.chars().all(is_of_a_key));
            let name = name.ok_or_else(|| Failure::FileName { path: path.clone() })?;
            if files.insert(name.to_owned(), read("file", path)?).is_some() {
                return Err(Failure::SameName { path: path.clone() });
            }
        }
        manifests.authenticator = args;
        manifests.files = files;
        Ok(())
    }
}

const CONFIG: &str = "webhook.yaml";
const TOKENS: &str = "tokens.jsonl";

/// What the key of a Secret may have (`apimachinery`, `IsConfigMapKey`).
fn is_of_a_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// The command that prints the apiserver's file, which only who has the certificates can run.
fn kubeconfig(manifests: &Manifests) -> String {
    let name = manifests.server_name();
    let server = match manifests.cluster_ip {
        Some(IpAddr::V4(address)) => format!("https://{address} --tls-server-name {name}"),
        Some(IpAddr::V6(address)) => format!("https://[{address}] --tls-server-name {name}"),
        None => format!("https://ADDRESS-OF-THE-SERVICE --tls-server-name {name}"),
    };
    format!(
        "the apiserver's file is printed by\n  \
         tokenlab-webhook kubeconfig --server {server} \\\n  \
         --certificate-authority CA-OF-THE-WEBHOOK \\\n  \
         --client-certificate CERTIFICATE --client-key KEY"
    )
}

/// A block of addresses, or one.
fn block(text: &str) -> Result<IpNet, &'static str> {
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    let block: Result<IpNet, _> = text.parse();
    block
        .or_else(|_| one())
        .map_err(|_| "neither a block of addresses, such as 10.0.0.0/28, nor an address")
}
