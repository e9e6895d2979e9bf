//! Edits of the manifest that kubeadm 1.37 writes, and of what people make of it.

use super::*;

/// The beginning of what kubeadm 1.37 writes, with what a person may have added.
const MANIFEST: &str = "\
# managed by hand since June
apiVersion: v1
kind: Pod
metadata:
  annotations:
    note: \"--authorization-mode=none\" # not a flag
  name: kube-apiserver
spec:
  containers:
  - name: sidecar
    command: [sleep, --authorization-mode=never]
  - command:
    - kube-apiserver
    - --advertise-address=172.18.0.2   # the node's
    - '--authorization-mode=Node,RBAC'
    - --runtime-config=
    image: registry.k8s.io/kube-apiserver:v1.37.2
    name: kube-apiserver
  hostNetwork: true
";
const FLAG: &str = "authentication-token-webhook-config-file";

fn pod(text: &str) -> StaticPod<'_> {
    StaticPod::read(text, "kube-apiserver").expect("must be read")
}

/// The lines that differ.
fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let without = |text: &str, other: &str| {
        let other: Vec<_> = other.split_inclusive('\n').collect();
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| !other.contains(line))
            .map(str::to_owned)
            .collect()
    };
    (without(before, after), without(after, before))
}

#[test]
fn a_flag_is_added_as_the_last_one() {
    let edited = pod(MANIFEST).with(FLAG, "/etc/kubernetes/pki/webhook-config.yml");
    let edited = edited.expect("must be edited");
    let (gone, new) = difference(MANIFEST, &edited);
    assert_eq!(gone, [""; 0]);
    assert_eq!(
        new,
        [format!(
            "    - --{FLAG}=/etc/kubernetes/pki/webhook-config.yml\n"
        )]
    );
    assert!(edited.contains("--runtime-config=\n    - --authentication-token"));
    // And it goes again, to the last byte.
    assert_eq!(
        pod(&edited).without(FLAG).expect("must be edited"),
        MANIFEST
    );
}

#[test]
fn a_flag_is_replaced_where_it_stands() {
    let edited = pod(MANIFEST).with("authorization-mode", "AlwaysAllow");
    let (gone, new) = difference(MANIFEST, &edited.expect("must be edited"));
    assert_eq!(gone, ["    - '--authorization-mode=Node,RBAC'\n"]);
    assert_eq!(new, ["    - --authorization-mode=AlwaysAllow\n"]);
    let edited = pod(MANIFEST).with("advertise-address", "::1");
    let (_, new) = difference(MANIFEST, &edited.expect("must be edited"));
    assert_eq!(new, ["    - \"--advertise-address=::1\"   # the node's\n"]);
}

#[test]
fn flags_are_read() {
    let flag = |name| pod(MANIFEST).flag(name).expect("must be read");
    assert_eq!(flag("authorization-mode").as_deref(), Some("Node,RBAC"));
    assert_eq!(flag("runtime-config").as_deref(), Some(""));
    assert_eq!(flag(FLAG), None);
}

#[test]
fn a_list_in_brackets_and_args_are_understood() {
    let text = "spec: {containers: [{name: kube-apiserver, command: [kube-apiserver], \
                    args: [\"--a=1\", --b=2]}]}\n";
    let edited = pod(text).with("c", "[x]").expect("must be edited");
    assert!(edited.contains("--b=2, \"--c=[x]\"]}]}"), "{edited}");
    assert_eq!(pod(&edited).without("c").expect("must be edited"), text);
}

#[test]
fn other_line_ends_stay() {
    let text = MANIFEST.replace('\n', "\r\n");
    let edited = pod(&text).with(FLAG, "/f").expect("must be edited");
    assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count());
    assert_eq!(pod(&edited).without(FLAG).expect("must be edited"), text);
}

#[test]
fn a_manifest_without_a_last_line_end_is_edited() {
    let text = "spec:\n  containers:\n  - name: kube-apiserver\n    command:\n    - --a=1";
    let edited = pod(text).with("b", "2").expect("must be edited");
    assert_eq!(edited, format!("{text}\n    - --b=2"));
}

#[test]
fn what_is_unusual_is_refused() {
    let text = MANIFEST.replace("--runtime-config=", "--runtime-config\n    - a=b");
    let error = pod(&text)
        .with("runtime-config", "")
        .expect_err("must fail");
    assert_eq!(
        error.to_string(),
        "the manifest has `--runtime-config` as a word alone, without `=` and a value"
    );
    let text = MANIFEST.replace("--runtime-config=", "--authorization-mode=RBAC");
    let error = pod(&text)
        .flag("authorization-mode")
        .expect_err("must fail");
    assert_eq!(
        error.to_string(),
        "the manifest has `--authorization-mode` more than once"
    );
    assert!(error.hint().is_some());
    let error = StaticPod::read(MANIFEST, "etcd").expect_err("must fail");
    assert_eq!(error.to_string(), "the manifest has no container `etcd`");
    assert!(StaticPod::read("[", "etcd").is_err());
}

#[test]
fn a_name_is_made_resolvable_and_forgotten() {
    let (address, name) = (
        "10.96.0.96".parse().expect("valid"),
        "my-authn.kube-system.svc",
    );
    for text in [MANIFEST.to_owned(), MANIFEST.replace('\n', "\r\n")] {
        let edited = pod(&text).with_host(address, name).expect("must be edited");
        let (gone, new) = difference(&text, &edited);
        assert_eq!(gone, [""; 0]);
        assert_eq!(new.len(), 1);
        assert_eq!(
            new[0].trim_end(),
            r#"  hostAliases: [{"hostnames":["my-authn.kube-system.svc"],"ip":"10.96.0.96"}]"#
        );
        let again = pod(&edited);
        assert_eq!(again.host(name), Some(address));
        assert_eq!(
            again.with_host(address, name).expect("must be edited"),
            edited
        );
        assert_eq!(
            again.without_host(address, name).expect("must be edited"),
            text
        );
    }
    let text = "spec: {hostNetwork: true, containers: [{name: kube-apiserver}]}";
    let edited = pod(text).with_host(address, name).expect("must be edited");
    assert_eq!(pod(&edited).host(name), Some(address));
    assert_eq!(
        pod(&edited)
            .without_host(address, name)
            .expect("must be edited"),
        text
    );
}

#[test]
fn names_that_somebody_else_added_are_left_alone() {
    let text = MANIFEST.replace(
        "  hostNetwork: true\n",
        "  hostNetwork: true\n  hostAliases:\n  - ip: 192.0.2.1\n    hostnames: [other]\n",
    );
    let address = "10.96.0.96".parse().expect("valid");
    let error = pod(&text)
        .with_host(address, "my-authn")
        .expect_err("must fail");
    assert_eq!(
        error.to_string(),
        "the manifest has `hostAliases` of its own, without `my-authn`"
    );
    assert!(error.hint().is_some());
    assert_eq!(
        pod(&text)
            .without_host(address, "my-authn")
            .expect("is as it was"),
        text
    );
    let text = MANIFEST.replace("  hostNetwork: true\n", "");
    let error = pod(&text)
        .with_host(address, "my-authn")
        .expect_err("must fail");
    assert_eq!(error.to_string(), "the manifest has no `hostNetwork: true`");
}
