//! What of a node comes from which module, at which version.
//!
//! | part | version | why that one |
//! |---|---|---|
//! | kind | v0.33.0 | the newest in November 2026 |
//! | containerd, shim, ctr | v2.3.4 | what kind v0.33.0 has in its nodes (`images/base/Dockerfile`), whose configuration it reads |
//! | CNI plugins | v1.9.1 | the same |
//! | crictl | v1.37.0 | follows Kubernetes' minor version; kind's v1.36.0 is one behind |
//! | `CoreDNS` | v1.14.6 | what kubeadm 1.37 asks for (`kubeadm config images list`) |
//! | pause | our own | kubernetes has it in C, and there is a compiler for Go alone |
//! | kubeadm, kubelet, … | the node's | the version that is asked for |
//! | etcd, kube-apiserver, kubectl | | those of the control plane, from wherever they were found |
//!
//! All were measured to build with Go 1.26. A node of an older Kubernetes gets the same `CoreDNS`,
//! pause and etcd, by the names that its kubeadm asks for.

use semver::Version;

use crate::assets::build::{Target, staging, stamps};
use crate::assets::modules::KUBERNETES;

/// The module of kind, a program itself.
pub(super) const KIND: &str = "sigs.k8s.io/kind";
pub(super) const KIND_VERSION: &str = "v0.33.0";

/// One module, and which of its programs are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    name: &'static str,
    module: &'static str,
    version: &'static str,
    /// Their packages, below the module.
    packages: &'static [&'static str],
}

const CONTAINERD: Part = Part {
    name: "containerd",
    module: "github.com/containerd/containerd/v2",
    version: "v2.3.4",
    packages: &["cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"],
};
const CRI_TOOLS: Part = Part {
    name: "cri-tools",
    module: "sigs.k8s.io/cri-tools",
    version: "v1.37.0",
    packages: &["cmd/crictl"],
};
const CNI_PLUGINS: Part = Part {
    name: "cni-plugins",
    module: "github.com/containernetworking/plugins",
    version: "v1.9.1",
    packages: &[
        "plugins/ipam/host-local",
        "plugins/main/loopback",
        "plugins/main/ptp",
        "plugins/meta/portmap",
    ],
};
const COREDNS: Part = Part {
    name: "coredns",
    module: "github.com/coredns/coredns",
    version: "v1.14.6",
    packages: &[""],
};
pub(super) const KIND_PROGRAM: Part = Part {
    name: "kind",
    module: KIND,
    version: KIND_VERSION,
    packages: &[""],
};

/// Those of a node that do not follow the version of Kubernetes.
pub(super) const OF_A_NODE: [Part; 4] = [CONTAINERD, CRI_TOOLS, CNI_PLUGINS, COREDNS];

/// Kubernetes' programs of a node, of whichever version: kubelet takes longest.
pub(super) const KUBERNETES_PROGRAMS: [&str; 5] = [
    "kubeadm",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
];

impl Part {
    /// The name of its folder in the store.
    pub(super) fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version.trim_start_matches('v'))
    }

    pub(super) fn programs(&self) -> Vec<&'static str> {
        let last = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
        let named = |package: &&'static str| match last(package) {
            "" => last(self.module),
            name => name,
        };
        self.packages.iter().map(named).collect()
    }

    pub(super) fn target(&self) -> Target {
        let package = |package: &&str| match *package {
            "" => self.module.to_owned(),
            package => format!("{}/{package}", self.module),
        };
        Target {
            title: format!("{} {}", self.name, self.version.trim_start_matches('v')),
            module: self.module,
            version: self.version.to_owned(),
            staging: None,
            packages: self.packages.iter().map(package).collect(),
            output: String::new(),
            stamps: String::new(),
        }
    }
}

/// Kubernetes' programs of a node.
pub(super) fn kubernetes(version: &Version) -> Target {
    let package = |program| format!("{KUBERNETES}/cmd/{program}");
    Target {
        title: format!("the node's programs of Kubernetes {version}"),
        module: KUBERNETES,
        version: format!("v{version}"),
        staging: Some(staging(version)),
        packages: KUBERNETES_PROGRAMS.map(package).to_vec(),
        output: String::new(),
        stamps: stamps(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_knows_what_its_programs_are_called() {
        assert_eq!(
            CONTAINERD.programs(),
            ["containerd", "containerd-shim-runc-v2", "ctr"]
        );
        assert_eq!(COREDNS.programs(), ["coredns"]);
        assert_eq!(COREDNS.target().packages, ["github.com/coredns/coredns"]);
        assert_eq!(
            CRI_TOOLS.target().packages,
            ["sigs.k8s.io/cri-tools/cmd/crictl"]
        );
    }
}
