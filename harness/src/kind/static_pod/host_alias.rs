//! A name that resolves for a static Pod: `hostAliases`. The kubelet writes them into the Pod's
//! `/etc/hosts` with each start, in the host's network too (`pkg/kubelet/kubelet_pods.go`,
//! `ensureHostsFile`); a line added to the node's own file goes with a restart of the node.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ManifestError, StaticPod};

/// One address and its names.
#[derive(Debug, Deserialize)]
pub(super) struct HostAlias {
    ip: String,
    #[serde(default)]
    hostnames: Vec<String>,
}

fn aliases(address: IpAddr, name: &str) -> Value {
    json!([{ "ip": address.to_string(), "hostnames": [name] }])
}

/// The same as a patch for kubeadm (`kube-apiserver+strategic.json`).
pub(in super::super) fn host_alias_patch(address: IpAddr, name: &str) -> String {
    json!({ "spec": { "hostAliases": aliases(address, name) } }).to_string()
}

impl StaticPod<'_> {
    /// The manifest in which the name resolves to the address.
    pub(in super::super) fn with_host(
        &self,
        address: IpAddr,
        name: &str,
    ) -> Result<String, ManifestError> {
        if self.resolves(address, name) {
            return Ok(self.text.to_owned());
        }
        if !self.host_aliases.is_empty() {
            return Err(ManifestError::HostAliases {
                name: name.to_owned(),
            });
        }
        let host_network = self.host_network.as_ref();
        let span = host_network.and_then(|value| self.span(value));
        let span = span.ok_or(ManifestError::NoHostNetwork)?;
        let (at, text) = self.entry(span.end, &aliases(address, name));
        self.host_checked(Some((address, name)), self.replaced(at..at, &text))
    }

    /// The manifest without what [`with_host`](Self::with_host) added.
    pub(in super::super) fn without_host(
        &self,
        address: IpAddr,
        name: &str,
    ) -> Result<String, ManifestError> {
        let host_network = self.host_network.as_ref();
        let Some(span) = host_network.and_then(|value| self.span(value)) else {
            return Ok(self.text.to_owned());
        };
        let (at, text) = self.entry(span.end, &aliases(address, name));
        if !self.text[at..].starts_with(&text) {
            return Ok(self.text.to_owned());
        }
        self.host_checked(None, self.replaced(at..at + text.len(), ""))
    }

    /// The address to which the name resolves by this manifest.
    pub(in super::super) fn host(&self, name: &str) -> Option<IpAddr> {
        let names = |alias: &&HostAlias| alias.hostnames.iter().any(|one| one == name);
        self.host_aliases.iter().find(names)?.ip.parse().ok()
    }

    fn resolves(&self, address: IpAddr, name: &str) -> bool {
        self.host(name) == Some(address)
    }

    /// What stands behind `hostNetwork: true`, and where.
    fn entry(&self, behind: usize, aliases: &Value) -> (usize, String) {
        let begin = self.text[..behind].rfind('\n').map_or(0, |at| at + 1);
        let line = &self.text[begin..behind];
        let indent = &line[..line.len() - line.trim_start().len()];
        if line.trim_start().starts_with("hostNetwork") {
            let at = self.line_end(behind);
            let carriage = if self.text[..at].ends_with('\r') {
                "\r"
            } else {
                ""
            };
            (at, format!("\n{indent}hostAliases: {aliases}{carriage}"))
        } else {
            (behind, format!(", \"hostAliases\": {aliases}"))
        }
    }

    fn host_checked(
        &self,
        host: Option<(IpAddr, &str)>,
        edited: String,
    ) -> Result<String, ManifestError> {
        let unsure = || ManifestError::Unsure {
            what: "hostAliases".to_owned(),
        };
        let read = |text| serde_saphyr::from_str::<Value>(text).map_err(|_error| unsure());
        let (mut expected, after) = (read(self.text)?, read(&edited)?);
        let Some(spec) = expected["spec"].as_object_mut() else {
            return Err(unsure());
        };
        match host {
            Some((address, name)) => {
                spec.insert("hostAliases".to_owned(), aliases(address, name));
            }
            None => {
                spec.remove("hostAliases");
            }
        }
        if expected == after {
            Ok(edited)
        } else {
            Err(unsure())
        }
    }
}
