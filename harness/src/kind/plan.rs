//! From choices to a running cluster.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8PathBuf;
use tokenlab_webhook::pki::CertificateAuthority;

use super::config::Config;
use super::node::Node;
use super::{CLUSTER_IP, KindBuilder, KindError, KindLab, KindPlan, NODE_CONFIG_FILE, Wire};
use crate::assets::{Assets, AssetsError, Sources, Wanted};
use crate::docker::{Docker, LABEL, Owned};
use crate::guardian::Kept;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::lab::{CONFIG_FILE, CONFIG_FILE_FLAG};
use crate::manifests::Manifests;
use crate::node_image;
use crate::progress::Progress;
use crate::run_folder::{RunFolder, random_name};
use crate::tool::Tool;

impl KindBuilder {
    /// The version of Kubernetes.
    pub fn kubernetes(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// When the webhook is wired in.
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Where to show how far it is; nowhere by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Looks for what is needed, and gets what is missing. Nothing is started.
    pub async fn plan(self) -> Result<KindPlan, KindError> {
        let Self {
            wanted,
            wire,
            progress,
        } = self;
        let docker = Docker::check().await?;
        let sources = Sources::from_env().map_err(AssetsError::from)?;
        let assets = sources.ensure(&wanted, &progress).await?;
        let kind = sources.kind(&progress).await?;
        let image = node_image::ensure(&docker, &assets.version, &progress).await?;
        let folder = RunFolder::create()?;
        let name = format!("tokenlab-{}", random_name());
        let log = folder.file("command-lines");
        let kind = Tool::at("kind", kind)
            .env("KIND_EXPERIMENTAL_PROVIDER", "docker")
            .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", &name)
            // kind writes the kubeconfig that this names, if a command line names none.
            .env("KUBECONFIG", folder.file("kind.kubeconfig").as_str())
            .log(log.clone());
        Ok(KindPlan {
            assets,
            kind,
            image,
            docker: docker.logged(log),
            name,
            wire,
            authority: CertificateAuthority::new("tokenlab-webhook")?,
            manifests: Manifests {
                cluster_ip: Some(CLUSTER_IP),
                ..Manifests::default()
            },
            folder,
            progress,
        })
    }
}

impl KindPlan {
    /// The programs.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The image of the node.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The run folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The webhook's objects in the cluster.
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// The file that tells the apiserver how to reach the webhook.
    pub fn webhook_config(&self) -> String {
        let authority = self.authority.certificate_pem();
        self.manifests.webhook_config(authority).yaml()
    }

    /// Creates the cluster. When that fails its logs are kept in the run folder, and it goes.
    pub async fn start(self) -> Result<KindLab, KindError> {
        let config = self.folder.write(CONFIG_FILE, &self.webhook_config())?;
        let at_creation = self.wire == Wire::Create;
        let mut kind_config = Config {
            name: &self.name,
            image: &self.image,
            host: self.docker.host,
            mounts: Vec::new(),
            flags: Vec::new(),
        };
        if at_creation {
            kind_config.mounts.push((&config, NODE_CONFIG_FILE));
            kind_config.flags.push((CONFIG_FILE_FLAG, NODE_CONFIG_FILE));
        }
        let kind_config = self.folder.write("kind.yaml", &kind_config.yaml())?;
        let network = Owned::announce(Kept::Network, self.name.clone())?;
        let container = format!("{}-control-plane", self.name);
        let container = Owned::announce(Kept::Container, container)?;
        let label = format!("{LABEL}=kind");
        let args = ["network", "create", "--label", &label, &self.name];
        self.docker.run(&args).await?;
        let kubeconfig = self.folder.file("kind.kubeconfig");
        let args = [
            "create",
            "cluster",
            "--config",
            kind_config.as_str(),
            "--kubeconfig",
            kubeconfig.as_str(),
            "--retain",
        ];
        let title = format!(
            "creating a kind cluster of Kubernetes {}",
            self.assets.version
        );
        let created = self.progress.step(&title, self.kind.run(&args)).await;
        let admin = match created {
            Ok(_) => admin(&kubeconfig),
            Err(error) => Err(KindError::Create(error)),
        };
        let node = Node {
            docker: self.docker.clone(),
            container,
        };
        match admin {
            Ok(admin) => Ok(KindLab {
                node,
                network,
                admin,
                plan: self,
            }),
            Err(error) => {
                self.collect_logs().await;
                Err(error)
            }
        }
    }

    /// Puts the cluster's logs into the run folder, and keeps it.
    pub(super) async fn collect_logs(&self) {
        let logs = self.folder.file("logs");
        let args = ["export", "logs", "--name", &self.name, logs.as_str()];
        // This is told beside another failure, which is the one to tell.
        let _ = self.kind.run_within(Duration::from_secs(60), &args).await;
        self.folder.keep();
    }
}

/// The admin's identity, from the kubeconfig that kind writes.
fn admin(path: &Utf8PathBuf) -> Result<Kubeconfig, KindError> {
    let unusable = |what| KindError::Kubeconfig {
        path: path.clone(),
        what,
    };
    let text = std::fs::read_to_string(path).map_err(|_unreadable| unusable("cannot be read"))?;
    let file: serde_json::Value =
        serde_saphyr::from_str(&text).map_err(|_unreadable| unusable("is not YAML"))?;
    let cluster = &file["clusters"][0]["cluster"];
    let user = &file["users"][0]["user"];
    let decoded = |data: &serde_json::Value, what| {
        data.as_str()
            .and_then(|data| STANDARD.decode(data).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| unusable(what))
    };
    let server = cluster["server"].as_str();
    Ok(Kubeconfig {
        cluster: "lab".to_owned(),
        user: "admin".to_owned(),
        server: server
            .ok_or_else(|| unusable("names no server"))?
            .to_owned(),
        certificate_authority: decoded(&cluster["certificate-authority-data"], "has no CA")?,
        tls_server_name: None,
        identity: Identity::ClientCertificate {
            certificate: decoded(&user["client-certificate-data"], "has no certificate")?,
            key: decoded(&user["client-key-data"], "has no key")?,
        },
    })
}
