//! The container of k3s, started by testcontainers.

use std::net::Ipv4Addr;

use testcontainers::bollard::models::PortBinding;
use testcontainers::core::Host;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerRequest, ImageExt as _, ReuseDirective};

use super::error::is_port_taken;
use super::find::PAUSE_IMAGE;
use super::image::{K3sImage, PORT};
use super::{CONFIG_IN_NODE, IMAGES, K3s, K3sError, POLL, apiserver, containerd};
use crate::assets::chain;
use crate::cluster::{ClusterError, ClusterPlan, Wire};
use crate::docker::LABEL;
use crate::lab::CONFIG_FILE_FLAG;
use crate::node::Node;
use crate::ports::Port;

/// What k3s brings along and no lab needs; most of it would be pulled.
const NOT_NEEDED: [&str; 5] = [
    "coredns",
    "local-storage",
    "metrics-server",
    "servicelb",
    "traefik",
];

/// The disk is this machine's: what else lies on it must neither keep Pods away nor take our
/// images with it. As kind has it; 0 and 100 mean never.
const KUBELET: [(&str, &str); 2] = [
    (
        "eviction-hard",
        "imagefs.available<0%,nodefs.available<0%,nodefs.inodesFree<0%",
    ),
    ("image-gc-high-threshold", "100"),
];

/// How often another may have taken the port in between.
const TRIES: usize = 5;

impl K3s {
    /// Starts the container, and returns the apiserver's port.
    pub(super) async fn start(&self, plan: &ClusterPlan, node: &Node) -> Result<u16, ClusterError> {
        let mut tries = 0;
        loop {
            let port = Port::reserve().map_err(K3sError::NoPort)?;
            let number = port.number();
            let request = self.request(plan, node, number)?;
            // It is Docker's from here on: its port cannot be shared. Another may be faster.
            drop(port);
            let Err(source) = request.start().await else {
                return Ok(number);
            };
            tries += 1;
            if tries < TRIES && is_port_taken(&chain(&source)) {
                let name = node.container.name();
                let remove = ["rm", "--force", "--volumes", name];
                node.docker.run(&remove).await.map_err(K3sError::from)?;
                continue;
            }
            return Err(K3sError::Container {
                log: apiserver::log_tail(node).await,
                source: Box::new(source),
            }
            .into());
        }
    }

    fn request(
        &self,
        plan: &ClusterPlan,
        node: &Node,
        port: u16,
    ) -> Result<ContainerRequest<K3sImage>, ClusterError> {
        let mut image = K3sImage::new(&self.image).agent(self.agent);
        for component in NOT_NEEDED {
            image = image.disable(component);
        }
        for (name, value) in KUBELET.iter().filter(|_| self.agent) {
            image = image.kubelet_flag(*name, *value);
        }
        if let Some(archive) = &self.pause {
            let bytes = std::fs::read(archive).map_err(|source| K3sError::Read {
                path: archive.clone(),
                source,
            })?;
            let image_file = format!("{IMAGES}/pause.tar");
            image = (image.pause_image(PAUSE_IMAGE)).file(image_file, bytes);
        }
        if self.agent && !plan.docker.host.sys_resource {
            image = image.file(containerd::PATH, containerd::TEMPLATE);
        }
        if plan.wire == Wire::Create {
            image = image
                .file(CONFIG_IN_NODE, plan.webhook_config()?)
                .apiserver_flag(CONFIG_FILE_FLAG, CONFIG_IN_NODE);
        }
        let mut request = (image.request())
            .with_container_name(node.container.name())
            .with_network(plan.name())
            .with_label(LABEL, "k3s")
            // The guardian removes it, and who made it: a failed one's log is read before that.
            .with_reuse(ReuseDirective::Always)
            .with_startup_timeout(POLL.within)
            // A port that Docker chooses would be another one after a restart.
            .with_host_config_modifier(move |host| {
                let binding = PortBinding {
                    host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
                    host_port: Some(port.to_string()),
                };
                let port = (format!("{PORT}/tcp"), Some(vec![binding]));
                host.port_bindings = Some([port].into());
                host.publish_all_ports = Some(false);
            });
        // Docker writes it into /etc/hosts at each start; what is written there later is lost.
        if let Some((address, name)) = plan.host_entry()? {
            request = request.with_host(name, Host::Addr(address));
        }
        Ok(request)
    }
}
