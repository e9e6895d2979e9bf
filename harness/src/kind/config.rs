//! What kind is told to create: `kind.x-k8s.io/v1alpha4`.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde_json::{Value, json};

use crate::docker::Host;

/// A cluster of one node.
#[derive(Debug)]
pub(super) struct Config<'a> {
    pub(super) name: &'a str,
    pub(super) image: &'a str,
    pub(super) host: Host,
    /// Files of this machine, and where they are in the node.
    pub(super) mounts: Vec<(Utf8PathBuf, &'a str)>,
    /// Flags of kube-apiserver.
    pub(super) flags: Vec<(&'a str, &'a str)>,
    /// The folder in the node with patches for what kubeadm writes.
    pub(super) patch_folder: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster<'a> {
    kind: &'static str,
    api_version: &'static str,
    name: &'a str,
    nodes: [Node<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containerd_config_patches: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node<'a> {
    role: &'static str,
    image: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extra_mounts: Vec<Mount<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kubeadm_config_patches: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mount<'a> {
    host_path: &'a Utf8Path,
    container_path: &'a str,
}

/// A container may not lower its `oom_score_adj` where `CAP_SYS_RESOURCE` is missing: containerd
/// then leaves it as it is. In kind's configuration of version 2, which containerd 2 reads too.
const LEAVE_OOM_SCORES: &str =
    "[plugins.\"io.containerd.grpc.v1.cri\"]\n  restrict_oom_score_adj = true\n";

impl<'a> Config<'a> {
    pub(super) fn new(name: &'a str, image: &'a str, host: Host) -> Self {
        Self {
            name,
            image,
            host,
            mounts: Vec::new(),
            flags: Vec::new(),
            patch_folder: None,
        }
    }

    /// The file as YAML.
    pub(super) fn yaml(&self) -> String {
        let cluster = Cluster {
            kind: "Cluster",
            api_version: "kind.x-k8s.io/v1alpha4",
            name: self.name,
            nodes: [Node {
                role: "control-plane",
                image: self.image,
                extra_mounts: self.mounts().collect(),
                kubeadm_config_patches: self.patches(),
            }],
            containerd_config_patches: if self.host.sys_resource {
                Vec::new()
            } else {
                vec![LEAVE_OOM_SCORES]
            },
        };
        serde_saphyr::to_string(&cluster).expect("plain data always serialises")
    }

    fn mounts(&self) -> impl Iterator<Item = Mount<'_>> {
        self.mounts.iter().map(|(host, node)| Mount {
            host_path: host,
            container_path: node,
        })
    }

    /// What kubeadm is told beside what kind tells it. A patch for a version of kubeadm's API
    /// that the node does not speak is passed over (kind, `pkg/internal/patch/resource.go`).
    fn patches(&self) -> Vec<String> {
        let mut patches = Vec::new();
        if !self.flags.is_empty() {
            let listed: Vec<_> = self
                .flags
                .iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            let mapped: serde_json::Map<_, _> = self
                .flags
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
                .collect();
            let arguments = [("v1beta4", json!(listed)), ("v1beta3", json!(mapped))];
            patches.extend(arguments.map(|(version, arguments)| {
                json!({
                    "apiVersion": format!("kubeadm.k8s.io/{version}"),
                    "kind": "ClusterConfiguration",
                    "apiServer": { "extraArgs": arguments },
                })
                .to_string()
            }));
        }
        if let Some(directory) = self.patch_folder {
            // `patches` of v1beta3 and v1beta4 alike; kind fills in the version.
            let init =
                json!({ "kind": "InitConfiguration", "patches": { "directory": directory } });
            patches.push(init.to_string());
        }
        let mut kubelet = serde_json::Map::new();
        if self.host.cgroup_version == 1 {
            kubelet.insert("failCgroupV1".to_owned(), json!(false));
        }
        if !self.host.sys_resource {
            let gates = json!({ "KubeletInUserNamespace": true });
            kubelet.insert("featureGates".to_owned(), gates);
        }
        if !kubelet.is_empty() {
            kubelet.insert("kind".to_owned(), json!("KubeletConfiguration"));
            patches.push(Value::from(kubelet).to_string());
        }
        patches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(host: Host) -> Config<'static> {
        Config::new("lab", "kindest/node:v1.37.2", host)
    }

    const ORDINARY: Host = Host {
        cgroup_version: 2,
        sys_resource: true,
    };

    #[test]
    fn nothing_special_happens_on_an_ordinary_host() {
        insta::assert_snapshot!(config(ORDINARY).yaml(), @r"
        kind: Cluster
        apiVersion: kind.x-k8s.io/v1alpha4
        name: lab
        nodes:
        - role: control-plane
          image: kindest/node:v1.37.2
        ");
    }

    #[test]
    fn a_host_without_much_gets_what_it_needs() {
        let host = Host {
            cgroup_version: 1,
            sys_resource: false,
        };
        let read: Value = serde_saphyr::from_str(&config(host).yaml()).expect("must be YAML");
        let patches = read["nodes"][0]["kubeadmConfigPatches"].as_array();
        let patches = patches.expect("must be a list");
        let patch: Value =
            serde_json::from_str(patches[0].as_str().expect("must be text")).expect("must be JSON");
        assert_eq!(
            patch,
            json!({
                "kind": "KubeletConfiguration",
                "failCgroupV1": false,
                "featureGates": { "KubeletInUserNamespace": true },
            })
        );
        let containerd = read["containerdConfigPatches"][0].as_str();
        assert!(containerd.is_some_and(|patch| patch.contains("restrict_oom_score_adj = true")));
    }

    #[test]
    fn flags_are_told_in_both_versions_of_kubeadms_api() {
        let config = Config {
            mounts: vec![("/run/lab/f.yml".into(), "/etc/kubernetes/pki/f.yml")],
            flags: vec![("v", "4")],
            ..config(ORDINARY)
        };
        insta::assert_snapshot!(config.patches().join("\n"), @r#"
        {"apiServer":{"extraArgs":[{"name":"v","value":"4"}]},"apiVersion":"kubeadm.k8s.io/v1beta4","kind":"ClusterConfiguration"}
        {"apiServer":{"extraArgs":{"v":"4"}},"apiVersion":"kubeadm.k8s.io/v1beta3","kind":"ClusterConfiguration"}
        "#);
        let read: Value = serde_saphyr::from_str(&config.yaml()).expect("must be YAML");
        assert_eq!(
            read["nodes"][0]["extraMounts"][0],
            json!({
                "hostPath": "/run/lab/f.yml",
                "containerPath": "/etc/kubernetes/pki/f.yml",
            })
        );
    }
}
