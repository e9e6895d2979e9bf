//! Other users of the machine get neither at etcd nor at a key.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

use super::shared;

/// The inodes of the TCP sockets that listen: column 10 of `/proc/net/tcp`, where column 4,
/// the state, is `0A` (`proc_net(5)`, `TCP_LISTEN` in the kernel's `tcp_states.h`).
fn listening() -> HashSet<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            (columns.get(3) == Some(&"0A")).then(|| columns[9].to_owned())
        })
        .collect()
}

/// How many TCP ports a process listens on.
fn ports(pid: u32) -> usize {
    let listening = listening();
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("must be readable")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?;
            Some(listening.contains(inode.strip_suffix(']')?))
        })
        .filter(|listens| *listens)
        .count()
}

#[tokio::test]
async fn etcd_listens_on_no_port() {
    let lab = shared().await;
    let processes = lab.control_plane().process_ids();
    assert_eq!(ports(processes[1]), 1, "kube-apiserver listens on one");
    assert_eq!(ports(processes[0]), 0, "etcd");
}

#[tokio::test]
async fn the_run_folder_and_its_files_are_the_owners_alone() {
    let lab = shared().await;
    let mode = |path: &Utf8Path| {
        let data = path.symlink_metadata().expect("must be there");
        data.permissions().mode() & 0o777
    };
    let folder = lab.folder().path();
    assert_eq!(mode(folder), 0o700);
    let mut files = Vec::new();
    for entry in folder.read_dir_utf8().expect("must be readable") {
        let entry = entry.expect("must be readable");
        if entry.file_type().expect("must be known").is_file() {
            assert_eq!(mode(entry.path()), 0o600, "{}", entry.path());
            files.push(entry.file_name().to_owned());
        }
    }
    for name in [
        "apiserver.key",
        "sa.key",
        "admin.kubeconfig",
        "webhook-config.yml",
    ] {
        assert!(files.iter().any(|file| file == name), "{name}: {files:?}");
    }
}
