//! The webhook beside a k3s without a node: in a container of its own, held as tightly as the
//! Pod.

use std::net::IpAddr;

use tokenlab_webhook::pki::Certificate;

use super::files::{File, tar};
use crate::cluster::{ClusterError, ClusterPlan};
use crate::docker::{Docker, LABEL, Owned};
use crate::guardian::Kept;
use crate::image::{Image, USER};
use crate::tool::Input;

/// The running webhook. Dropped, it goes, and its image's name after it.
#[derive(Debug)]
pub(crate) struct Webhook {
    container: Owned,
    image: Owned,
}

impl Webhook {
    /// Loads the image into the engine, under a name that nobody else has.
    pub(crate) async fn load(plan: &ClusterPlan, image: &Image) -> Result<Owned, ClusterError> {
        let name = format!("tokenlab.invalid/{}:webhook", plan.name());
        let name = name.parse().expect("must be a name");
        let image = Image::builder().name(name).program(image.program());
        let image = image.build().await?;
        let owned = Owned::announce(Kept::Image, image.name().to_string())?;
        let loaded = plan.docker.tool();
        let loaded = loaded.feed(&["load"], Input::Bytes(image.archive()));
        loaded.await?;
        Ok(owned)
    }

    /// Starts it at an address of the cluster's network.
    pub(crate) async fn start(
        plan: &ClusterPlan,
        image: Owned,
        certificate: &Certificate,
        address: IpAddr,
    ) -> Result<Self, ClusterError> {
        let docker = &plan.docker;
        let container = Owned::announce(Kept::Container, format!("{}-webhook", plan.name()))?;
        let deployment = plan.manifests().deployment(certificate);
        let pod = deployment.spec.template.spec.unwrap_or_default();
        let webhook = pod.containers.first().cloned().unwrap_or_default();
        let mounts = webhook.volume_mounts.as_deref().unwrap_or_default();
        let folder = mounts.first().map_or("/", |mount| &mount.mount_path);
        let (label, address) = (format!("{LABEL}=k3s"), address.to_string());
        #[rustfmt::skip]
        let args = [
            "create", "--name", container.name(), "--label", &label,
            "--network", plan.name(), "--ip", &address,
            // The one place that can be written to before it starts, and goes with it.
            "--volume", folder,
            "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
            // The Service's port, without the Service: engines before 20.10 keep it for root.
            "--sysctl=net.ipv4.ip_unprivileged_port_start=0",
            image.name(),
        ];
        let words = webhook.args.as_deref().unwrap_or_default().iter();
        let words = words.map(String::as_str).chain(["--listen=0.0.0.0:443"]);
        let words = words.filter(|word| !word.starts_with("--listen=") || word.ends_with(":443"));
        let args: Vec<_> = args.into_iter().chain(words).collect();
        docker.run(&args).await?;
        copy(docker, &container, folder, certificate).await?;
        docker.run(&["start", container.name()]).await?;
        Ok(Self { container, image })
    }

    /// What it wrote.
    pub(crate) async fn log(&self, docker: &Docker) -> String {
        let args = ["logs", self.container.name()];
        let log = super::apiserver::log(docker, &args).await;
        log.unwrap_or_default()
    }

    /// Removes it.
    pub(crate) async fn remove(self) {
        self.container.remove().await;
        self.image.remove().await;
    }
}

/// The certificate and its key, for the webhook's user alone.
async fn copy(
    docker: &Docker,
    container: &Owned,
    folder: &str,
    certificate: &Certificate,
) -> Result<(), ClusterError> {
    let files = [
        ("tls.crt", certificate.certificate_pem()),
        ("tls.key", certificate.key_pem()),
    ];
    let files = files.map(|(name, text)| File {
        path: name,
        owner: USER,
        text,
    });
    // Below `/` it would be refused: that cannot be written to.
    let target = format!("{}:{folder}", container.name());
    let tool = docker.tool();
    tool.feed(&["cp", "-", &target], Input::Bytes(&tar(&files)))
        .await?;
    Ok(())
}
