//! What the operator of a cluster must do, since nothing of it is touched here.

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::lab::CONFIG_FILE_FLAG;

/// What makes the apiserver of somebody else's cluster ask the webhook. `Display` is for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Operator {
    /// Where the apiserver then posts its TokenReviews.
    pub url: String,
    /// The file for `--authentication-token-webhook-config-file`, for people to look at: YAML, with a
    /// mark in place of the key that the apiserver shows itself by.
    pub config: String,
    /// Where the file itself lies, as long as the webhook is deployed: for its owner alone.
    pub file: Utf8PathBuf,
}

/// Where a kube-apiserver of kubeadm's finds files: kubeadm mounts this folder into its Pod.
const KUBEADM: &str = "/etc/kubernetes/pki/webhook-config.yml";
const K3S: &str = "/etc/rancher/k3s/webhook-config.yml";

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        write!(
            f,
            "For kube-apiserver to ask it, whoever runs the control plane copies\n  \
             {file}\nto each of its machines, and sets the flag:\n\n  \
             kubeadm   {KUBEADM}, and in\n            \
             /etc/kubernetes/manifests/kube-apiserver.yaml one more line of `command`:\n            \
             - --{CONFIG_FILE_FLAG}={KUBEADM}\n  \
             k3s       {K3S}, in /etc/rancher/k3s/config.yaml\n            \
             kube-apiserver-arg: [\"{CONFIG_FILE_FLAG}={K3S}\"]\n            \
             and k3s started anew\n  \
             managed   most providers of clusters let nobody set it\n\n\
             The apiserver then takes the tokens that this webhook vouches for: set it nowhere but in a\n\
             cluster for tests, and take it back before the webhook goes."
        )
    }
}
