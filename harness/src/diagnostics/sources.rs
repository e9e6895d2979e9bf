//! What is asked of a node that failed, and which question each answer is for.

use super::{NodeSetup, Subject};
use crate::manifests::LABEL;

/// The output of one command of Docker's.
#[derive(Debug)]
pub(super) struct Source {
    /// The file that it becomes.
    pub(super) file: &'static str,
    /// What a reader finds in it.
    pub(super) answers: &'static str,
    /// What Docker is told.
    pub(super) args: Vec<String>,
}

// The scripts have one line, as the README shows them: to be typed again.

/// All that some containers said; the newest log is the last.
const LOGS: &str = concat!(
    r#"files=$(ls -tr $1 2>/dev/null); [ -n "$files" ] || "#,
    r#"{ echo "there is no $1" >&2; exit 1; }; tail -v -n 5000 $files"#,
);

/// Sets aside what a kube-apiserver said that did not come back with another manifest, and what
/// it was given, before that is taken back.
pub(crate) const SET_ASIDE: &str = concat!(
    "mkdir -p /var/log/tokenlab && cd /etc/kubernetes && tail -v -n 5000 ",
    "$(ls -tr /var/log/pods/kube-system_kube-apiserver-*/*/*.log) ",
    "manifests/kube-apiserver.yaml pki/webhook-config.yml >/var/log/tokenlab/rolled-back.log 2>&1",
);

/// What all other containers said.
const OTHER_LOGS: &str = concat!(
    "for file in $(ls -tr /var/log/pods/*/*/*.log 2>/dev/null); do ",
    r#"case $file in $1 | $2 | $3) ;; *) tail -v -n 1000 "$file" ;; esac; done"#,
);

/// The command lines of the processes of some name, a word in each line.
const COMMAND_LINE: &str = concat!(
    r"for process in /proc/[0-9]*; do case $(cat $process/comm 2>/dev/null) in ",
    r#"$1*) echo $process; tr "\0" "\n" <$process/cmdline ;; esac; done; exit 0"#,
);

/// What the container runtime has.
const CONTAINERS: &str = concat!(
    r#"for list in "ps --all" pods images; do echo; echo "crictl $list"; "#,
    r"crictl --timeout 5s $list 2>&1; done",
);

/// What several commands say, each under its name; that one is missing is said too.
const COMMANDS: &str =
    r#"for command in "$@"; do echo; echo "$command"; $command 2>&1; done; exit 0"#;

#[rustfmt::skip]
const NETWORK: [&str; 6] = [
    "ip address", "ip route", "ss -lntp", "cat /etc/hosts", "cat /etc/resolv.conf", "iptables-save",
];

#[rustfmt::skip]
const RESOURCES: [&str; 7] = [
    "uname -a", "df -h", "df -i", "free -m", "cat /proc/loadavg", "cat /proc/1/cgroup", "ps -ef",
];

impl Subject<'_> {
    /// Everything, in the order in which one looks for a cause.
    pub(super) fn sources(&self) -> Vec<Source> {
        let logs = |what: &str| self.script(LOGS, &[what]);
        let webhook = self.webhook_logs();
        let mut sources = match self.setup {
            NodeSetup::Kubeadm => vec![
                Source {
                    file: "kube-apiserver.log",
                    answers: "why kube-apiserver refused, ended, or did not start; each of its containers",
                    args: logs(APISERVER_LOGS),
                },
                Source {
                    file: "kube-apiserver.yaml",
                    answers: "its manifest as the kubelet reads it",
                    args: self.file("/etc/kubernetes/manifests/kube-apiserver.yaml"),
                },
                Source {
                    file: "kube-apiserver.command-line",
                    answers: "the flags that it runs with now; empty when it does not run",
                    args: self.script(COMMAND_LINE, &["kube-apiserver"]),
                },
                Source {
                    file: "kube-apiserver.rolled-back",
                    answers: "why it did not come back with a changed flag: its log, manifest and file",
                    args: self.script(LOGS, &["/var/log/tokenlab/rolled-back.log"]),
                },
            ],
            NodeSetup::K3s => vec![
                Source {
                    file: "k3s.log",
                    answers: "what k3s said: kube-apiserver (its flags behind `Running kube-apiserver`), the kubelet, all of it",
                    args: self.docker(&["logs", "--timestamps", "--tail=20000"], &[]),
                },
                Source {
                    file: "k3s.yaml",
                    answers: "its configuration, kube-apiserver's flags among it",
                    args: self.file("/etc/rancher/k3s/config.yaml"),
                },
            ],
        };
        sources.extend([
            Source {
                file: "webhook-config.yml",
                answers: "how kube-apiserver is told to reach the webhook, as it is in the node",
                args: self.file(self.config_file),
            },
            Source {
                file: "webhook.log",
                answers: "what the webhook said; each of its containers",
                args: logs(&webhook),
            },
        ]);
        sources.extend(self.of_the_cluster());
        sources.extend(self.of_the_node(&webhook));
        sources.extend(self.of_the_engine());
        sources
    }

    fn of_the_cluster(&self) -> [Source; 5] {
        #[rustfmt::skip]
        let described = [
            "describe", "deployments,replicasets,pods,services,endpointslices",
            "--namespace", &self.manifests.namespace, "--selector", LABEL,
        ];
        #[rustfmt::skip]
        let objects = [
            "get", "deployments,pods,services,endpointslices", "--output", "yaml",
            "--namespace", &self.manifests.namespace, "--selector", LABEL,
        ];
        [
            Source {
                file: "webhook.txt",
                answers: "why the webhook's Pod does not run: Deployment, Pods, Service, endpoints",
                args: self.kubectl(&described),
            },
            Source {
                file: "webhook.yaml",
                answers: "the same objects as the cluster has them",
                args: self.kubectl(&objects),
            },
            Source {
                file: "events.txt",
                answers: "what happened, in the order in which it began",
                args: self.kubectl(&[
                    "get",
                    "events",
                    "--all-namespaces",
                    "--sort-by=.metadata.creationTimestamp",
                    "--output=wide",
                ]),
            },
            Source {
                file: "objects.txt",
                answers: "what is there, and what of it is not ready",
                args: self.kubectl(&["get", "nodes,all", "--all-namespaces", "--output=wide"]),
            },
            Source {
                file: "nodes.txt",
                answers: "whether the node is ready, and what it has",
                args: self.kubectl(&["describe", "nodes"]),
            },
        ]
    }

    fn of_the_node(&self, webhook: &str) -> Vec<Source> {
        let mut sources = Vec::new();
        match self.setup {
            NodeSetup::Kubeadm => {
                let journal = |unit: &str| {
                    self.node(&[
                        "journalctl",
                        "--no-pager",
                        "--output=short-iso",
                        "--lines=10000",
                        &format!("--unit={unit}"),
                    ])
                };
                sources.extend([
                    Source {
                        file: "kubelet.log",
                        answers: "why a Pod, a static one too, was not started or was ended",
                        args: journal("kubelet"),
                    },
                    Source {
                        file: "containerd.log",
                        answers: "why a container was not made",
                        args: journal("containerd"),
                    },
                    Source {
                        file: "kube-proxy.log",
                        answers: "why a Service cannot be reached",
                        args: self.script(LOGS, &[PROXY_LOGS]),
                    },
                    Source {
                        file: "kubeadm.yaml",
                        answers: "what kubeadm was told",
                        args: self.file("/kind/kubeadm.conf"),
                    },
                ]);
            }
            NodeSetup::K3s => sources.push(Source {
                file: "containerd.log",
                answers: "why a container was not made",
                args: self.script(
                    LOGS,
                    &["/var/lib/rancher/k3s/agent/containerd/containerd.log"],
                ),
            }),
        }
        sources.extend([
            Source {
                file: "other-pods.log",
                answers: "what all other containers said: etcd, controllers, DNS",
                args: self.script(OTHER_LOGS, &[APISERVER_LOGS, webhook, PROXY_LOGS]),
            },
            Source {
                file: "containers.txt",
                answers: "which containers run and ended, and which images are in the node",
                args: self.script(CONTAINERS, &[]),
            },
            Source {
                file: "network.txt",
                answers: "addresses, routes, listeners, names and NAT rules in the node",
                args: self.script(COMMANDS, &NETWORK),
            },
            Source {
                file: "resources.txt",
                answers: "space, memory, load and processes in the node",
                args: self.script(COMMANDS, &RESOURCES),
            },
        ]);
        sources
    }

    fn of_the_engine(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        if self.setup == NodeSetup::Kubeadm {
            sources.push(Source {
                file: "node.log",
                answers: "what the node's container said: the boot, to the kubelet's start",
                args: self.docker(&["logs", "--timestamps", "--tail=20000"], &[]),
            });
        }
        sources.extend([
            Source {
                file: "node.json",
                answers: "the node's container: whether it runs, its exit code, mounts, limits",
                args: self.docker(&["inspect"], &[]),
            },
            Source {
                file: "docker-version.txt",
                answers: "which Docker it is",
                args: vec!["version".to_owned()],
            },
            Source {
                file: "docker-info.txt",
                answers: "what Docker runs on",
                args: vec!["info".to_owned()],
            },
        ]);
        sources
    }

    fn webhook_logs(&self) -> String {
        let manifests = self.manifests;
        let (namespace, name) = (&manifests.namespace, &manifests.name);
        format!("/var/log/pods/{namespace}_{name}-*/*/*.log")
    }

    fn docker(&self, before: &[&str], after: &[&str]) -> Vec<String> {
        let words = before.iter().chain([&self.container]).chain(after);
        words.map(|word| (*word).to_owned()).collect()
    }

    fn node(&self, args: &[&str]) -> Vec<String> {
        self.docker(&["exec"], args)
    }

    fn script(&self, script: &str, args: &[&str]) -> Vec<String> {
        self.node(&[&["sh", "-c", script, "sh"], args].concat())
    }

    fn file(&self, path: &str) -> Vec<String> {
        self.node(&["cat", path])
    }

    /// kubectl in the node, so that it works whether this machine reaches the cluster or not.
    fn kubectl(&self, args: &[&str]) -> Vec<String> {
        let kubeconfig = match self.setup {
            NodeSetup::Kubeadm => "--kubeconfig=/etc/kubernetes/admin.conf",
            NodeSetup::K3s => "--kubeconfig=/etc/rancher/k3s/k3s.yaml",
        };
        let kubectl = ["kubectl", kubeconfig, "--request-timeout=8s"];
        self.node(&[&kubectl, args].concat())
    }
}

/// Where the kubelet keeps what containers say: `<namespace>_<pod>_<uid>/<container>/<n>.log`.
const APISERVER_LOGS: &str = "/var/log/pods/kube-system_kube-apiserver-*/*/*.log";
const PROXY_LOGS: &str = "/var/log/pods/kube-system_kube-proxy-*/*/*.log";
