//! The one cluster that is broken in every way, one after the other; its webhook is deployed as into
//! somebody else's.

use std::convert::Infallible;

use camino::Utf8PathBuf;
use serde_json::{Value, json};
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    CONFIG_FILE_FLAG, Cluster, Existing, ExistingCluster, Kubeconfig, Kubectl, MockLab, Outside,
    Probe, Scripted, Webhook, until,
};
use tokenlab_webhook::authenticators::token_file::Entry;
use tokenlab_webhook::manifests::SETTINGS;
use tokenlab_webhook::{Token, User};
use tokio::net::{TcpListener, TcpStream};

use crate::left::POLL;

pub(super) const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// How many requests are made with a token that is known.
const TOKENS: usize = 24;

/// What the apiserver said last, and whether it is still running.
const LAST_LOG: &str = "crictl --timeout=20s logs $(crictl --timeout=20s ps --all --quiet --name '^kube-apiserver$' \
     | head -n 1) 2>&1";

pub(super) struct Plane<'a> {
    pub(super) lab: &'a Cluster,
    pub(super) kubectl: Kubectl,
    /// The same cluster as its guest sees it.
    pub(super) theirs: MockLab,
    /// From outside, with a copy of the file that the apiserver has.
    pub(super) outside: Outside,
    /// The file that it is wired by, when nothing is wrong.
    pub(super) config: Value,
    /// Its guest's copy of what the apiserver has.
    copy: Utf8PathBuf,
    /// The manifest without the webhook's flag.
    manifest: String,
    /// Each is ann's, and was not shown yet.
    tokens: Vec<Token>,
    pub(super) scripted: Scripted,
    scripts: Webhook,
}

impl<'a> Plane<'a> {
    /// The webhook deployed, with a file of tokens in place of the mock; no flag is set.
    pub(super) async fn new(lab: &'a Cluster) -> Self {
        let kubectl = lab.kubectl().expect("must be written");
        let cluster = ExistingCluster {
            kubeconfig: kubectl.kubeconfig().to_owned(),
            context: None,
        };
        let existing = Existing::deploy(&cluster, None, &Progress::hidden()).await;
        let existing = existing.expect("must be deployed");
        let operator = existing.operator().await.expect("must be told");
        let copy = operator.file.clone();
        let config = std::fs::read_to_string(&copy).expect("must be read");
        let config = serde_saphyr::from_str(&config).expect("must be YAML");
        let outside = Outside::of(&cluster, Some(&operator.file)).await;
        let scripted = Scripted::new();
        let mut plane = Self {
            lab,
            kubectl,
            theirs: MockLab::Existing(Box::new(existing), operator),
            outside: outside.expect("must be read"),
            config,
            copy,
            manifest: lab.in_node(&["cat", MANIFEST]).await.expect("is there"),
            tokens: Vec::new(),
            scripts: Webhook::scripted(scripted.clone()).expect("must serve"),
            scripted,
        };
        plane.knows_tokens().await;
        plane
    }

    /// The webhook that is deployed knows ann by some tokens, and nobody else.
    async fn knows_tokens(&mut self) {
        let user = || User::new("ann").with_group("dev");
        let (tokens, entries): (Vec<_>, Vec<_>) =
            (0..TOKENS).map(|_| Entry::generate(user())).unzip();
        self.tokens = tokens;
        let lines: Vec<_> = entries.iter().map(ToString::to_string).collect();
        let text = self
            .kubectl(&["get", "deployment", "my-authn", "--output=json"])
            .await;
        let mut deployment: Value = serde_json::from_str(&text).expect("must be JSON");
        // Whatever the controller has written of it meanwhile.
        deployment["metadata"]["resourceVersion"] = Value::Null;
        let pod = &mut deployment["spec"]["template"]["spec"];
        let add = |list: &mut Value, entry| list.as_array_mut().expect("is a list").push(entry);
        add(
            &mut pod["volumes"],
            json!({"name": "settings", "secret": {"secretName": "tokens", "defaultMode": 0o440}}),
        );
        let container = &mut pod["containers"][0];
        add(
            &mut container["volumeMounts"],
            json!({"name": "settings", "mountPath": SETTINGS, "readOnly": true}),
        );
        let args = container["args"].as_array_mut().expect("is a list");
        let decides = args.iter_mut().find(|arg| **arg == "--mock");
        *decides.expect("it is the mock") = format!("--token-file={SETTINGS}/tokens.jsonl").into();
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "tokens", "namespace": "kube-system"},
            "stringData": {"tokens.jsonl": lines.join("\n")}});
        for (verb, object) in [("create", secret), ("replace", deployment)] {
            let file = self.lab.plan().folder().write(verb, &object.to_string());
            let file = file.expect("must be written");
            self.kubectl(&[verb, "--filename", file.as_str()]).await;
        }
        self.rolled_out().await;
        // Or the old one may be asked: kube-proxy learns nothing while the apiserver is away.
        self.node_finds(1).await;
    }

    pub(super) async fn kubectl(&self, args: &[&str]) -> String {
        let args = [args, &["--namespace=kube-system"]].concat();
        let output = self.kubectl.run(&args).await.expect("must run");
        assert!(output.status.success(), "{args:?}: {output}");
        output.stdout
    }

    async fn rolled_out(&self) {
        let status = ["rollout", "status", "deployment/my-authn", "--timeout=2m"];
        self.kubectl(&status).await;
    }

    /// A token of ann's that the apiserver has not seen yet.
    pub(super) fn known(&mut self) -> Token {
        self.tokens.pop().expect("there must be enough")
    }

    /// So many Pods of the webhook, and the node knows.
    pub(super) async fn pods(&self, replicas: u8) {
        let replicas_are = format!("--replicas={replicas}");
        self.kubectl(&["scale", "deployment/my-authn", &replicas_are])
            .await;
        self.rolled_out().await;
        self.node_finds(replicas).await;
    }

    /// Waits until there are no more Pods than these, and the node reaches one, or none.
    async fn node_finds(&self, replicas: u8) {
        #[rustfmt::skip]
        let pods = [
            "get", "pods", "--selector=app.kubernetes.io/instance=my-authn", "--output=name",
        ];
        let there = async || {
            let there = self.kubectl(&pods).await;
            if there.lines().count() <= usize::from(replicas) {
                Probe::<_, Infallible>::Ready(())
            } else {
                Probe::NotYet(there.into())
            }
        };
        let ended = until("the other Pods have ended", POLL, there).await;
        ended.expect("must end");
        let url = self.config["clusters"][0]["cluster"]["server"].as_str();
        let url = url.expect("must be there").split('/').nth(2);
        let host = url.expect("must have a host");
        let connect = "exec 3<>/dev/tcp/$0/443";
        let connect = ["timeout", "5", "bash", "-c", connect, host];
        // Of a Pod that has just gone there may be no route, before the node knows.
        let look = async || match self.lab.in_node(&connect).await {
            Ok(_) if replicas > 0 => Probe::<_, Infallible>::Ready(()),
            Ok(_) => Probe::NotYet("there is still one".into()),
            Err(error) if replicas == 0 && error.to_string().contains("refused") => {
                Probe::Ready(())
            }
            Err(error) => Probe::NotYet(error.to_string().into()),
        };
        until("the node finds so many Pods", POLL, look)
            .await
            .expect("must come true");
    }

    /// The apiserver wired by this file, of which its guest has a copy.
    pub(super) async fn wired_by(&self, config: &str) {
        std::fs::write(&self.copy, config).expect("must be written");
        self.lab.wire_by(config).await.expect("must be wired");
    }

    /// The apiserver without its webhook's flag.
    pub(super) async fn unwired(&self) {
        let none = [(CONFIG_FILE_FLAG, None)];
        self.lab.set_flags(&none).await.expect("must come back");
    }

    /// The manifest with the webhook's flag, which names this file.
    pub(super) fn manifest_with(&self, file: &str) -> String {
        const FIRST: &str = "    - kube-apiserver\n";
        assert!(self.manifest.contains(FIRST), "{}", self.manifest);
        let flag = format!("{FIRST}    - --{CONFIG_FILE_FLAG}={file}\n");
        self.manifest.replace(FIRST, &flag)
    }

    /// The manifest edited as people do it, whatever comes of that.
    pub(super) async fn edited(&self, manifest: &str) {
        let written = self.lab.write(MANIFEST, manifest).await;
        written.expect("must be written");
    }

    /// Ends the apiserver that runs, which would be given its time.
    pub(super) async fn killed(&self) {
        let running = self.container().await;
        // It may be gone by itself.
        let stop = ["crictl", "--timeout=20s", "stop", "--timeout=0", &running];
        let _ = self.lab.in_node(&stop).await;
    }

    /// Waits until the apiserver has ended with these words.
    pub(super) async fn ended_with(&self, words: &str) {
        let look = async || match self.lab.in_node(&["sh", "-c", LAST_LOG]).await {
            Ok(log) if log.contains(words) => Probe::<_, Infallible>::Ready(()),
            Ok(log) => Probe::NotYet(log.lines().last().unwrap_or_default().to_owned().into()),
            Err(error) => Probe::NotYet(error.to_string().into()),
        };
        until("kube-apiserver has ended", POLL, look)
            .await
            .expect("must end");
    }

    /// The apiserver's container; empty when none runs.
    pub(super) async fn container(&self) -> String {
        #[rustfmt::skip]
        let running = [
            "crictl", "--timeout=20s", "ps", "--quiet", "--name", "^kube-apiserver$",
        ];
        let running = self.lab.in_node(&running).await.expect("must be listed");
        running.trim().to_owned()
    }

    /// Waits until the apiserver runs in another container and is ready.
    pub(super) async fn another_runs_than(&self, before: &str) {
        let look = async || {
            let now = self.container().await;
            let ready = self.kubectl.run(["get", "--raw", "/readyz"]).await;
            let ready = ready.is_ok_and(|ready| ready.status.success());
            if ready && !now.is_empty() && now != before {
                Probe::<_, Infallible>::Ready(())
            } else {
                Probe::NotYet(format!("ready: {ready}, in {now}").into())
            }
        };
        until("another kube-apiserver runs", POLL, look)
            .await
            .expect("must come");
    }

    /// Waits until the apiserver is ready with this value of the webhook's flag.
    pub(super) async fn runs_with(&self, file: Option<&str>) {
        let flag = file.map(|file| format!("--{CONFIG_FILE_FLAG}={file}"));
        let look = async || {
            let flags = self.lab.running_flags().await.unwrap_or_default();
            let runs = !flags.is_empty();
            let is = flags.into_iter().find(|it| it.contains(CONFIG_FILE_FLAG));
            let ready = self.kubectl.run(["get", "--raw", "/readyz"]).await;
            match ready {
                Ok(ready) if ready.status.success() && runs && is == flag => {
                    Probe::<_, Infallible>::Ready(())
                }
                Ok(ready) => Probe::NotYet(format!("{is:?}, {ready}").into()),
                Err(error) => Probe::NotYet(error.to_string().into()),
            }
        };
        until("kube-apiserver is back", POLL, look)
            .await
            .expect("must come back");
    }

    /// Where the node reaches the webhook that is scripted, which listens for this machine alone.
    pub(super) async fn scripted_config(&self) -> Kubeconfig {
        const GATEWAY: &str = "ip route show default | cut -d ' ' -f 3";
        let gateway = self.lab.in_node(&["sh", "-c", GATEWAY]).await;
        let gateway = gateway.expect("must have one");
        let relay = TcpListener::bind((gateway.trim(), 0)).await;
        let relay = relay.expect("must listen where the node looks");
        let address = relay.local_addr().expect("must have one");
        let config = self.scripts.kubeconfig();
        let (_, port) = config.server.rsplit_once(':').expect("has a port");
        let (port, path) = port.split_once('/').expect("has a path");
        let server = format!("https://{address}/{path}");
        let port: u16 = port.parse().expect("must be one");
        // Ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((mut from, _)) = relay.accept().await {
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::io::copy_bidirectional(&mut from, &mut to).await
                });
            }
        });
        Kubeconfig { server, ..config }
    }

    pub(super) async fn stop(self) {
        self.theirs.stop().await;
        self.scripts.stop().await;
    }
}
