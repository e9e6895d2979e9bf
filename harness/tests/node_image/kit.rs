//! The programs of a node: built part by part, each once, with a stand-in for `go`.

use std::fs;

use tokenlab_harness::Output;

use crate::world::{World, all_but_go, is_root, outcome};

/// A `go` that notes what it builds, and builds programs that say which images kubeadm wants.
fn with_go() -> World {
    let world = all_but_go("/nowhere");
    let (module, built) = (world.folder.join("module"), world.folder.join("built"));
    let base = module.join("images/base/files/kind/bin");
    fs::create_dir_all(&base).expect("must be made");
    fs::write(base.join("entrypoint"), "text").expect("must be written");
    let script = format!(
        r#"
program() {{ printf '#!/bin/sh\necho registry.k8s.io/pause:3.10.2\n# %s\n' $$ >"$1"; chmod +x "$1"; }}
case "$*" in
"mod download"*) echo '{{"GoMod": "its.mod", "Dir": "{module}"}}' ;;
"mod edit"*) echo '{{"Go": "1.26.0"}}' ;;
"list -deps"*) printf 'a true\n' ;;
build*)
    while [ "$1" != -o ]; do shift; done
    output=$2
    shift 2
    for package; do
        [ ! -e '{built}.fails' ] || [ "${{package##*/}}" != coredns ] || {{ echo cannot >&2; exit 7; }}
        echo "${{package##*/}}" >>'{built}'
        case $output in
        */) program "$output${{package##*/}}" ;;
        *) program "$output" ;;
        esac
    done ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac"#
    );
    world.script("go", &script);
    world
}

/// What was built since the last time.
fn built(world: &World) -> Vec<String> {
    let path = world.folder.join("built");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    text.lines().map(str::to_owned).collect()
}

async fn build(world: &World) -> Output {
    let mut command = world.tokenlab(&["node-image", "build"]);
    command.env("KUBEBUILDER_ASSETS", world.folder.join("bin"));
    outcome(&mut command, world).await
}

/// The engine makes nothing: all before it has come to its end.
fn assert_at_the_engine(output: &Output) {
    assert!(output.stderr.contains("`docker import "), "{output}");
}

const ALL: [&str; 15] = [
    "kubeadm",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "crictl",
    "host-local",
    "loopback",
    "ptp",
    "portmap",
    "coredns",
    ".",
];

#[tokio::test]
async fn is_built_once_and_then_needs_no_go() {
    if !is_root("node_image::kit::is_built_once_and_then_needs_no_go") {
        return;
    }
    let world = with_go();
    assert_at_the_engine(&build(&world).await);
    assert_eq!(built(&world), ALL);
    fs::remove_file(world.folder.join("bin/go")).expect("must be removed");
    assert_at_the_engine(&build(&world).await);
}

#[tokio::test]
async fn that_failed_half_way_goes_on_there() {
    if !is_root("node_image::kit::that_failed_half_way_goes_on_there") {
        return;
    }
    let world = with_go();
    let fails = world.folder.join("built.fails");
    fs::write(&fails, "").expect("must be written");
    let output = build(&world).await;
    assert!(
        output
            .stderr
            .contains("exit status: 7; its last lines:\n  cannot\nall of it: [folder]/data/"),
        "{output}"
    );
    assert_eq!(built(&world), ALL[..13]);
    fs::remove_file(&fails).expect("must be removed");
    assert_at_the_engine(&build(&world).await);
    assert_eq!(built(&world), ALL[13..]);
}

#[tokio::test]
async fn that_was_spoilt_is_not_used() {
    if !is_root("node_image::kit::that_was_spoilt_is_not_used") {
        return;
    }
    let world = with_go();
    assert_at_the_engine(&build(&world).await);
    let kit = world
        .folder
        .join("data/kubebuilder-envtest/k8s/.tokenlab/kit");
    let find = |name: &str| {
        let entries = kit.read_dir_utf8().expect("must be read");
        let mut paths = entries.map(|entry| entry.expect("must be read").path().join(name));
        paths.find(|path| path.exists()).expect("must be there")
    };
    let kubelet = find("kubelet");
    fs::write(&kubelet, "#!/bin/sh\n").expect("must be written");
    let output = build(&world).await;
    let error =
        "error: `[folder]/data/kubebuilder-envtest/k8s/.tokenlab/kit/kubernetes-node-1.37.9-";
    assert!(output.stderr.contains(error), "{output}");
    assert!(
        output.stderr.contains("/kubelet` is not what was built: "),
        "{output}"
    );
    // By the remedy that it names.
    built(&world);
    fs::remove_dir_all(kubelet.parent().expect("must have one")).expect("must be removed");
    assert_at_the_engine(&build(&world).await);
    assert_eq!(built(&world), ALL[..5]);
    // A program that is gone is built anew, with those of its part, and nothing is spoilt by it.
    fs::remove_file(find("ctr")).expect("must be removed");
    assert_at_the_engine(&build(&world).await);
    assert_eq!(built(&world), ALL[5..8]);
    assert_at_the_engine(&build(&world).await);
}
