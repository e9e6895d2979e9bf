//! Where everything lies in a node, and what its images run. A change here makes another image.

/// The folder of each program that lies in the node itself; those of the control plane lie in
/// images.
pub(super) const PROGRAMS: [(&str, &str); 10] = [
    ("kubeadm", "usr/bin"),
    ("kubelet", "usr/bin"),
    ("containerd", "usr/local/bin"),
    ("containerd-shim-runc-v2", "usr/local/bin"),
    ("ctr", "usr/local/bin"),
    ("crictl", "usr/local/bin"),
    ("host-local", "opt/cni/bin"),
    ("loopback", "opt/cni/bin"),
    ("ptp", "opt/cni/bin"),
    ("portmap", "opt/cni/bin"),
];

/// A program that runs as a container in the node.
pub(super) struct Contained {
    /// The name of the program, and the last word of its image's name.
    pub(super) name: &'static str,
    /// What the image runs. `CoreDNS` and pause are run by it, the rest by command lines.
    pub(super) entrypoint: &'static str,
    /// Where the program lies in the image.
    pub(super) path: &'static str,
    /// Whether it runs programs of Debian's: iptables and what goes with it.
    pub(super) on_debian: bool,
}

const fn contained(name: &'static str, entrypoint: &'static str, path: &'static str) -> Contained {
    Contained {
        name,
        entrypoint,
        path,
        on_debian: false,
    }
}

#[rustfmt::skip]
pub(super) const IMAGES: [Contained; 7] = [
    contained("kube-apiserver", "kube-apiserver", "usr/local/bin/kube-apiserver"),
    contained("kube-controller-manager", "kube-controller-manager", "usr/local/bin/kube-controller-manager"),
    contained("kube-scheduler", "kube-scheduler", "usr/local/bin/kube-scheduler"),
    Contained { on_debian: true, ..contained("kube-proxy", "kube-proxy", "usr/local/bin/kube-proxy") },
    contained("etcd", "etcd", "usr/local/bin/etcd"),
    contained("coredns", "/coredns", "coredns"),
    contained("pause", "/pause", "pause"),
];

/// What a node runs: the container that was worked in ran something else.
pub(super) const RUNS: [&str; 2] = [
    r#"ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]"#,
    "CMD []",
];
