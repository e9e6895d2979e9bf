//! k3s as an image of testcontainers.

use std::borrow::Cow;

use testcontainers::core::{ContainerPort, Mount, WaitFor};
use testcontainers::{
    ContainerRequest, CopyDataSource, CopyTargetOptions, CopyToContainer, Image, ImageExt as _,
};

use super::config::{self, Config};

/// The apiserver's port in the container.
pub(crate) const PORT: u16 = 6443;

/// `k3s server` in a container, with its arguments.
///
/// What may change while it lives, the apiserver's flags, is in `/etc/rancher/k3s/config.yaml`,
/// which k3s reads at each start; the rest is on its command line, which beats the file.
#[derive(Clone, Debug)]
#[must_use]
pub struct K3sImage {
    name: String,
    tag: String,
    agent: bool,
    disable: Vec<String>,
    tls_san: Vec<String>,
    snapshotter: Option<String>,
    pause_image: Option<String>,
    kubelet: Vec<(String, String)>,
    apiserver: Vec<(String, String)>,
    files: Vec<CopyToContainer>,
    mounts: Vec<Mount>,
}

impl K3sImage {
    /// An image by its name, such as `rancher/k3s:v1.37.2-k3s1`. It runs server and agent, and
    /// everything that k3s brings along.
    pub fn new(image: &str) -> Self {
        let (name, tag) = match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, "latest"),
        };
        Self {
            name: name.to_owned(),
            tag: tag.to_owned(),
            agent: true,
            disable: Vec::new(),
            tls_san: Vec::new(),
            snapshotter: None,
            pause_image: None,
            kubelet: Vec::new(),
            apiserver: Vec::new(),
            files: Vec::new(),
            // What a previous start left there would be taken for alive.
            mounts: ["/run", "/var/run"].map(Mount::tmpfs_mount).to_vec(),
        }
    }

    /// Without the agent it is a control plane that has no node, and needs no privileges.
    pub fn agent(mut self, agent: bool) -> Self {
        self.agent = agent;
        self
    }

    /// Leaves out something that k3s brings along: `coredns`, `traefik`, …
    pub fn disable(mut self, component: impl Into<String>) -> Self {
        self.disable.push(component.into());
        self
    }

    /// One more name or address in the apiserver's certificate; 127.0.0.1 is in it.
    pub fn tls_san(mut self, name: impl Into<String>) -> Self {
        self.tls_san.push(name.into());
        self
    }

    /// containerd's snapshotter: `native` where an overlay cannot lie on an overlay.
    pub fn snapshotter(mut self, name: impl Into<String>) -> Self {
        self.snapshotter = Some(name.into());
        self
    }

    /// The image of the first process of each Pod.
    pub fn pause_image(mut self, image: impl Into<String>) -> Self {
        self.pause_image = Some(image.into());
        self
    }

    /// A flag of the kubelet, without dashes.
    pub fn kubelet_flag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.kubelet.push((name.into(), value.into()));
        self
    }

    /// A flag of kube-apiserver, without dashes.
    pub fn apiserver_flag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.apiserver.push((name.into(), value.into()));
        self
    }

    /// A file that is there before the first start; root alone may read it.
    pub fn file(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push(file(path, bytes));
        self
    }

    /// The same for `docker run`: the agent needs privileges.
    pub fn request(mut self) -> ContainerRequest<Self> {
        if !self.apiserver.is_empty() {
            let mut config = Config::default();
            for (name, value) in &self.apiserver {
                config.set(name, Some(value));
            }
            self.files.push(file(config::PATH, config.yaml()));
        }
        let agent = self.agent;
        ContainerRequest::from(self).with_privileged(agent)
    }
}

fn file(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> CopyToContainer {
    let target = CopyTargetOptions::new(path).with_mode(0o600);
    CopyToContainer::new(CopyDataSource::Data(bytes.into()), target)
}

impl Image for K3sImage {
    fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn ready_conditions(&self) -> Vec<WaitFor> {
        vec![WaitFor::message_on_either_std("k3s is up and running")]
    }

    fn mounts(&self) -> impl IntoIterator<Item = &Mount> {
        &self.mounts
    }

    fn copy_to_sources(&self) -> impl IntoIterator<Item = &CopyToContainer> {
        &self.files
    }

    fn cmd(&self) -> impl IntoIterator<Item = impl Into<Cow<'_, str>>> {
        let mut words = vec!["server".to_owned()];
        if !self.agent {
            words.push("--disable-agent".to_owned());
        }
        let mut flag = |name: &str, values: &mut dyn Iterator<Item = &String>| {
            words.extend(values.map(|value| format!("--{name}={value}")));
        };
        flag("disable", &mut self.disable.iter());
        flag("tls-san", &mut self.tls_san.iter());
        flag("snapshotter", &mut self.snapshotter.iter());
        flag("pause-image", &mut self.pause_image.iter());
        let kubelet = self.kubelet.iter();
        words.extend(kubelet.map(|(name, value)| format!("--kubelet-arg={name}={value}")));
        words
    }

    fn expose_ports(&self) -> &[ContainerPort] {
        const PORTS: [ContainerPort; 1] = [ContainerPort::Tcp(PORT)];
        &PORTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(image: &K3sImage) -> Vec<String> {
        let words = image.cmd().into_iter();
        words.map(|word| Into::into(word).into_owned()).collect()
    }

    #[test]
    fn an_image_is_read_as_docker_reads_it() {
        let parts = |text| {
            let image = K3sImage::new(text);
            (image.name, image.tag)
        };
        let two = |name: &str, tag: &str| (name.to_owned(), tag.to_owned());
        assert_eq!(parts("rancher/k3s:v1-k3s1"), two("rancher/k3s", "v1-k3s1"));
        assert_eq!(parts("host:5000/k3s"), two("host:5000/k3s", "latest"));
        assert_eq!(parts("k3s@sha256:abc"), two("k3s@sha256", "abc"));
    }

    #[test]
    fn its_arguments_are_those_of_k3s() {
        let image = K3sImage::new("k3s");
        assert_eq!(words(&image), ["server"]);
        let image = image.agent(false).disable("coredns").disable("traefik");
        let image = image.tls_san("lab").snapshotter("native").pause_image("p");
        let image = image.kubelet_flag("v", "4");
        assert_eq!(
            words(&image),
            [
                "server",
                "--disable-agent",
                "--disable=coredns",
                "--disable=traefik",
                "--tls-san=lab",
                "--snapshotter=native",
                "--pause-image=p",
                "--kubelet-arg=v=4",
            ]
        );
    }

    #[test]
    fn only_the_agent_asks_for_privileges() {
        assert!(K3sImage::new("k3s").request().privileged());
        assert!(!K3sImage::new("k3s").agent(false).request().privileged());
    }
}
