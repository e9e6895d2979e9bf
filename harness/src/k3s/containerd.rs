//! containerd where a container may not lower its `oom_score_adj`: it is told to leave it.

/// A template of k3s for containerd's configuration. Newer k3s has one for containerd 2 beside
/// it, and takes this one where that is missing.
pub(super) const PATH: &str = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl";

/// What k3s' own template says to a node without registries' settings, and one line more. In
/// containerd's configuration of version 2, which 1.4 and newer read.
pub(super) const TEMPLATE: &str = include_str!("containerd.toml.tmpl");
