//! The webhook beside a k3s without a node: in a container of its own, held as tightly as the
//! Pod.

use std::net::IpAddr;

use tokenlab_webhook::manifests::Credentials;

use super::K3sError;
use super::files::{File, tar};
use crate::cluster::{ClusterError, ClusterPlan};
use crate::docker::{Docker, LABEL, Owned, owner_label};
use crate::guardian::EngineObject;
use crate::image::{Image, USER};
use crate::run_folder::random_name;
use crate::tool::Input;

/// The webhook beside a control plane without a node. Dropped, it goes.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    runs: Option<Running>,
    /// What runs next.
    loaded: Option<Loaded>,
}

/// An image in the engine, to be run. Dropped, its name goes.
#[derive(Debug)]
pub(crate) struct Loaded(Owned);

/// Its image's name goes after it.
#[derive(Debug)]
struct Running {
    container: Owned,
    image: Loaded,
}

impl Loaded {
    /// Loads the image, under a name that nobody else has, nor an image that was loaded before.
    pub(crate) async fn load(plan: &ClusterPlan, image: &Image) -> Result<Self, ClusterError> {
        let tag = random_name();
        let name = format!("tokenlab.invalid/{}:webhook-{tag}", plan.name());
        let name = name.parse().expect("must be a name");
        let image = Image::builder().name(name).program(image.program());
        let image = image.build().await?;
        let owned = Owned::announce(EngineObject::Image, image.name().to_string())?;
        let loaded = plan.docker.tool();
        let loaded = loaded.feed(&["load"], Input::Bytes(image.archive()));
        loaded.await?;
        Ok(Self(owned))
    }

    /// Takes its name away.
    pub(crate) async fn remove(self) {
        self.0.remove().await;
    }
}

impl Beside {
    /// Has another image run next; returns the one that is not needed then.
    #[must_use]
    pub(crate) fn next(&mut self, image: Loaded) -> Option<Loaded> {
        self.loaded.replace(image)
    }

    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.runs.is_some()
    }

    /// Starts what was loaded at an address of the cluster's network, in place of what runs. When
    /// that fails it is still loaded.
    pub(crate) async fn start(
        &mut self,
        plan: &ClusterPlan,
        credentials: &Credentials,
        address: IpAddr,
    ) -> Result<(), ClusterError> {
        let image = self.loaded.as_ref().ok_or(K3sError::NotLoaded)?;
        let container = Running::create(plan, image, credentials, address).await?;
        // Only one can have the address.
        if let Some(old) = self.runs.take() {
            old.remove().await;
        }
        plan.docker.run(&["start", container.name()]).await?;
        self.runs = (self.loaded.take()).map(|image| Running { container, image });
        Ok(())
    }

    /// The name of its container, when it runs.
    pub(crate) fn container(&self) -> Option<&str> {
        Some(self.runs.as_ref()?.container.name())
    }

    /// What it wrote; `None` when it does not run.
    pub(crate) async fn log(&self, docker: &Docker) -> Option<String> {
        let args = ["logs", self.runs.as_ref()?.container.name()];
        let log = super::apiserver::log(docker, &args).await;
        Some(log.unwrap_or_default())
    }

    /// Removes it.
    pub(crate) async fn remove(self) {
        if let Some(webhook) = self.runs {
            webhook.remove().await;
        }
        if let Some(image) = self.loaded {
            image.remove().await;
        }
    }
}

impl Running {
    /// Makes its container, with all that is in it.
    async fn create(
        plan: &ClusterPlan,
        image: &Loaded,
        credentials: &Credentials,
        address: IpAddr,
    ) -> Result<Owned, ClusterError> {
        let docker = &plan.docker;
        // The next one is made while this one runs.
        let name = format!("{}-webhook-{}", plan.name(), random_name());
        let container = Owned::announce(EngineObject::Container, name)?;
        let deployment = plan.manifests().deployment(credentials);
        let pod = deployment.spec.template.spec.unwrap_or_default();
        let webhook = pod.containers.first().cloned().unwrap_or_default();
        let mounts = webhook.volume_mounts.as_deref().unwrap_or_default();
        let folder = mounts.first().map_or("/", |mount| &mount.mount_path);
        let (label, owner) = (format!("{LABEL}=k3s"), owner_label());
        let address = address.to_string();
        #[rustfmt::skip]
        let args = [
            "create", "--name", container.name(), "--label", &label, &owner,
            "--network", plan.name(), "--ip", &address,
            // The one place that can be written to before it starts, and goes with it.
            "--volume", folder,
            "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
            // The Service's port, without the Service: engines before 20.10 keep it for root.
            "--sysctl=net.ipv4.ip_unprivileged_port_start=0",
            image.0.name(),
        ];
        let words = webhook.args.as_deref().unwrap_or_default().iter();
        let words = words.map(String::as_str).chain(["--listen=0.0.0.0:443"]);
        let words = words.filter(|word| !word.starts_with("--listen=") || word.ends_with(":443"));
        let args: Vec<_> = args.into_iter().chain(words).collect();
        docker.run(&args).await?;
        copy(docker, &container, folder, credentials).await?;
        Ok(container)
    }

    async fn remove(self) {
        self.container.remove().await;
        self.image.remove().await;
    }
}

/// The credentials, for the webhook's user alone.
async fn copy(
    docker: &Docker,
    container: &Owned,
    folder: &str,
    credentials: &Credentials,
) -> Result<(), ClusterError> {
    let files = credentials.files().into_iter();
    let files = files.map(|(name, text)| File {
        path: name,
        owner: USER,
        text,
    });
    let files: Vec<_> = files.collect();
    // Below `/` it would be refused: that cannot be written to.
    let target = format!("{}:{folder}", container.name());
    let tool = docker.tool();
    tool.feed(&["cp", "-", &target], Input::Bytes(&tar(&files)))
        .await?;
    Ok(())
}
