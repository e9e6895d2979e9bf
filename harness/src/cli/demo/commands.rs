//! What a person would type on a real cluster, and what is said of it.

use semver::Version;
use tokenlab_harness::{Backend, CONFIG_FILE_FLAG, ClusterPlan};

use super::typed;

/// One lab, in words.
pub(in crate::cli) struct Commands {
    pub(in crate::cli) backend: Backend,
    /// Whether there is a node.
    pub(in crate::cli) agent: bool,
    pub(in crate::cli) name: String,
}

impl Commands {
    fn is_k3s(&self) -> bool {
        self.backend == Backend::K3s
    }

    /// The node's container.
    pub(in crate::cli) fn node(&self) -> String {
        let name = &self.name;
        if self.is_k3s() {
            format!("{name}-k3s")
        } else {
            format!("{name}-control-plane")
        }
    }

    pub(in crate::cli) fn create(&self, plan: &ClusterPlan) -> String {
        let (name, node) = (&self.name, self.node());
        if self.is_k3s() {
            let (privileged, agent) = if self.agent {
                ("--privileged --tmpfs /run --tmpfs /var/run ", "")
            } else {
                ("", " --disable-agent")
            };
            let image = plan.image();
            return format!(
                "docker run --detach {privileged}--name {node} --network {name} \\\n        \
                 --publish 127.0.0.1:6443:6443 {image} server{agent}"
            );
        }
        format!(
            "kind create cluster --config {} --kubeconfig {}",
            typed(&plan.folder().file("kind.yaml")),
            typed(&plan.folder().file("kind.kubeconfig"))
        )
    }

    pub(in crate::cli) fn created(&self, version: &Version, image: &str, wired: &str) -> String {
        match (self.is_k3s(), self.agent) {
            (false, _) => {
                format!(
                    "a cluster of Kubernetes {version} by kind, its node made of {image}{wired}"
                )
            }
            (true, true) => {
                format!("a cluster of Kubernetes {version} by k3s, its node made of {image}{wired}")
            }
            (true, false) => {
                format!("a control plane of Kubernetes {version} by k3s, of {image}{wired}")
            }
        }
    }

    pub(in crate::cli) fn loaded(&self) -> &'static str {
        if self.agent {
            "the image is in the node"
        } else {
            "the image is in the engine"
        }
    }

    pub(in crate::cli) fn load(&self) -> Vec<String> {
        const IMAGES: &str = "/var/lib/rancher/k3s/agent/images";
        let node = self.node();
        match (self.is_k3s(), self.agent) {
            (false, _) => vec![format!(
                "kind load image-archive image.tar --name {}",
                self.name
            )],
            (true, true) => vec![
                format!("docker cp image.tar {node}:{IMAGES}/"),
                format!(
                    "docker exec {node} ctr --namespace k8s.io images import {IMAGES}/image.tar"
                ),
            ],
            (true, false) => vec!["docker load --input image.tar".to_owned()],
        }
    }

    pub(in crate::cli) fn deployed(&self, plan: &ClusterPlan) -> String {
        let (name, namespace) = (&plan.manifests().name, &plan.manifests().namespace);
        let answered = "is answered: authenticated, user \"mock\"";
        if self.agent {
            format!("Deployment and Service {name} in {namespace}; the node {answered}")
        } else {
            format!("the webhook runs in a container beside it; the control plane {answered}")
        }
    }

    pub(in crate::cli) fn deploy(&self, plan: &ClusterPlan) -> String {
        if self.agent {
            return format!(
                "kubectl apply -f {}",
                typed(&plan.folder().file("authn-webhook-deploy.yml"))
            );
        }
        let name = &self.name;
        format!("docker run --detach --name {name}-webhook --network {name} … serve --mock …")
    }

    pub(in crate::cli) fn wire(&self, file: &str) -> Vec<String> {
        let node = self.node();
        let copy = format!("docker cp webhook-config.yml {node}:{file}");
        if self.is_k3s() {
            return vec![
                copy,
                format!(
                    "printf 'kube-apiserver-arg: [{CONFIG_FILE_FLAG}={file}]' | \\\n        \
                     docker exec --interactive {node} sh -c 'cat >/etc/rancher/k3s/config.yaml'"
                ),
                format!("docker restart {node}"),
            ];
        }
        vec![
            copy,
            "vi /etc/kubernetes/manifests/kube-apiserver.yaml    # in the node: one more line"
                .to_owned(),
            "crictl stop --timeout 0 $(crictl ps --quiet --name kube-apiserver)".to_owned(),
        ]
    }
}
