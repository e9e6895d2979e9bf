//! What a container of a static Pod sees of its node.

use camino::Utf8Path;
use serde_json::Value;

use crate::kubeconfig;

/// Where a file of the container's is in the node; `None` where no folder of the node is mounted
/// there: then it is one of the image, or nowhere.
pub(super) fn in_node(manifest: &str, container: &str, path: &Utf8Path) -> Option<String> {
    let pod: Value = kubeconfig::read(manifest).ok()?;
    let list = |of: &Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
    let spec = &pod["spec"];
    let containers = list(spec, "containers");
    let container = containers.iter().find(|it| it["name"] == container)?;
    let volumes = list(spec, "volumes");
    let found = list(container, "volumeMounts")
        .into_iter()
        .filter_map(|mount| {
            let behind = path.strip_prefix(mount["mountPath"].as_str()?).ok()?;
            let volume = volumes.iter().find(|it| it["name"] == mount["name"])?;
            let there = Utf8Path::new(volume["hostPath"]["path"].as_str()?);
            // Of a file that is mounted nothing is behind it.
            let there = match behind.as_str() {
                "" => there.to_owned(),
                _ => there.join(behind),
            };
            Some((behind.as_str().len(), there.into_string()))
        });
    // The mount that is nearest covers the others.
    found.min().map(|(_, there)| there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_where_its_folder_is_mounted_from() {
        let manifest = r#"{"spec": {
            "containers": [{"name": "kube-apiserver", "volumeMounts": [
                {"name": "certs", "mountPath": "/etc/kubernetes/pki"},
                {"name": "own", "mountPath": "/etc/kubernetes/pki/own"},
                {"name": "file", "mountPath": "/etc/one.yml"},
                {"name": "none", "mountPath": "/empty"}]}],
            "volumes": [
                {"name": "certs", "hostPath": {"path": "/etc/kubernetes/pki"}},
                {"name": "own", "hostPath": {"path": "/srv"}},
                {"name": "file", "hostPath": {"path": "/srv/two.yml"}},
                {"name": "none", "emptyDir": {}}]}}"#;
        let found = |path: &str| in_node(manifest, "kube-apiserver", path.as_ref());
        for (path, there) in [
            (
                "/etc/kubernetes/pki/a.yml",
                Some("/etc/kubernetes/pki/a.yml"),
            ),
            ("/etc/kubernetes/pki/own/a.yml", Some("/srv/a.yml")),
            ("/etc/one.yml", Some("/srv/two.yml")),
            ("/etc/kubernetes/pkix", None),
            ("/empty/a.yml", None),
        ] {
            assert_eq!(found(path).as_deref(), there, "{path}");
        }
    }
}
