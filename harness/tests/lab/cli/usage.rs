//! Help, versions, completions, and wrong usage: exit status 2, and what would be right.

use std::process::Stdio;

use rstest::rstest;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::outcome;
use crate::filters::assert_text;
use crate::skipped::{has, skip};

#[tokio::test]
async fn help() {
    assert_text!(outcome(&["--help"]).await, @r#"
    exit code: 0
    ----- stdout -----
    A lab for Kubernetes webhook token authentication: a real kube-apiserver, a webhook, and what they
    say to each other

    Usage: tokenlab <COMMAND>

    Commands:
      tour         A guided tour, step by step: the same from nothing, and on to a role, a revoked token
                   and what breaks it
      demo         From nothing to Forbidden for "mock": a webhook, a real kube-apiserver that asks it,
                   and `kubectl get ns` under a token
      up           Start a lab with a name, and leave it running
      list         List the labs of this user
      status       Show how a lab is, and where its files are
      logs         Print a log of a lab
      kubectl      Run the kubectl of a lab's version, as its admin or with a token
      shell        Open a shell in which kubectl talks to a lab
      review       Post a token straight to a lab's webhook, in both versions of TokenReview
      doctor       Say whose a token is, or why it is 401, and what to do
      flags        Show the flags of a lab's kube-apiserver, or change them
      set          Show or set what a lab's webhook answers to a token, how late, and whether it listens
      watch        Show each token that is decided about, as it happens
      down         End a lab
      assets       Find, download or build etcd, kube-apiserver and kubectl
      image        Make the webhook's container image, without a container engine
      manifests    Print the webhook's Deployment and Service, with a fresh certificate, as YAML
      node-image   Make, list and remove images for kind's nodes, without a registry
      completions  Print a completion script for a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Examples:
      tokenlab                           on a terminal: the guided tour
      tokenlab tour --script             the same without keys, to read or to record
      tokenlab demo                      a real kube-apiserver with the webhook
                                         wired in, to Forbidden for "mock"
      tokenlab demo --backend kind       the same on a real cluster (Docker)
      tokenlab demo --json | jq .kubectl what came of it, for scripts
      tokenlab up                        a lab that stays, in the background
      tokenlab kubectl --as-token abc get ns
                                         kubectl with a token, in that lab
      tokenlab set abc --user ann        the token is ann's from now on
      tokenlab watch                     each token that is decided about, live
      tokenlab doctor                    why a token is not known, and what to do
      tokenlab down                      the lab's end
      tokenlab demo --webhook-command './authn {address} {cert} {key}'
                                         a webhook of yours, started and asked
      tokenlab demo --backend existing --kubeconfig FILE
                                         into a cluster of yours, flags untouched
      tokenlab assets list               where Kubernetes' programs come from
      tokenlab image build               the webhook's container image, a file
      tokenlab completions zsh >~/.zfunc/_tokenlab

    Environment:
      LAB_KUBERNETES    the version of Kubernetes: 1.37 (newest patch) or v1.37.2
      LAB_BACKEND       what a lab runs on: bare (default), kind, k3s or existing
      LAB_NAME          the lab that is meant, where `-l` does not say
      LAB_K3S_IMAGE     the image of k3s, if not rancher/k3s in that version
      LAB_DEBIAN_MIRROR where a node image's packages come from, if not apt's mirror
      LAB_KEEP=1        keep the run folder: logs, keys, kubeconfigs, commands
      LAB_ENVTEST_INDEX another index to download Kubernetes' programs by
      LAB_GO            the go that builds them, if not the one in PATH
      KUBEBUILDER_ASSETS, TEST_ASSET_ETCD, TEST_ASSET_KUBE_APISERVER,
      TEST_ASSET_KUBECTL
                        programs that are there already, named as for envtest
      NO_COLOR          no colours

    Exit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
    "#);
}

#[tokio::test]
async fn help_of_demo() {
    assert_text!(outcome(&["demo", "--help"]).await, @r#"
    exit code: 0
    ----- stdout -----
    From nothing to Forbidden for "mock": a webhook, a real kube-apiserver that asks it, and `kubectl
    get ns` under a token

    Usage: tokenlab demo [OPTIONS]

    Options:
          --backend <BACKEND>
              What the control plane runs on

              Possible values:
              - bare:     etcd and kube-apiserver as processes: no container needed
              - kind:     A cluster of one node by kind, the webhook deployed in it: needs Docker
              - k3s:      k3s in a container, the webhook deployed in it: needs Docker and an image of
                k3s
              - existing: A cluster that is yours, by --kubeconfig: the webhook is deployed in it, no
                flag is touched
              
              [env: LAB_BACKEND=]
              [default: bare]

          --wire <WIRE>
              When the webhook is wired into the apiserver of a real cluster [default: patch]

              Possible values:
              - patch:  In the running apiserver, once the webhook answers: the tutorial's way
              - create: When the cluster is created: no restart, and no webhook yet

          --reach <REACH>
              How the apiserver of a real cluster finds the webhook [default: cluster-ip]

              Possible values:
              - cluster-ip: By the Service's address, and the name that the certificate must have
              - dns:        By its name, made resolvable for the apiserver: the tutorial's way

          --service-address <IP|auto>
              The address of the webhook's Service in a real cluster; `auto`: the one that the cluster
              chooses [default: one that is known beforehand]

          --no-agent
              k3s without its agent: a control plane alone, the webhook in a container beside it

          --kubeconfig <FILE>
              The kubeconfig of a cluster that exists

          --context <NAME>
              The context in it [default: its current one]

          --kubernetes <VERSION>
              The version of Kubernetes: 1.37 (its newest patch) or v1.37.2
              
              [env: LAB_KUBERNETES=]

      -v, --verbose
              Show the commands that a person would type

          --hold
              Leave the lab running until Ctrl-C

          --json
              Print one JSON object instead of the story

      -h, --help
              Print help (see a summary with '-h')

    Your own webhook:
          --webhook-url <URL>
              The webhook that runs at this URL, with its path: `https://127.0.0.1:[port]/authenticate`

          --ca <FILE>
              The authority of its certificate (PEM)

          --client-cert <FILE>
              The certificate that the apiserver shows it (PEM)

          --client-key <FILE>
              The key of that certificate (PEM, not encrypted)

          --server-name <NAME>
              The name in its certificate, when that is not the URL's host

          --no-probe
              Do not look whether it answers before the apiserver is started

          --webhook-command <COMMAND>
              A command that starts the webhook, and is ended with the lab. No shell runs it, and it is
              shown in errors: no secret belongs there. `{port}`, `{address}`, `{cert}`, `{key}` and
              `{dir}` in it are replaced; its environment has them too: `TOKENLAB_WEBHOOK_PORT`,
              `TOKENLAB_WEBHOOK_ADDRESS`, `TOKENLAB_WEBHOOK_TLS_CERT_FILE`,
              `TOKENLAB_WEBHOOK_TLS_KEY_FILE`, `TOKENLAB_WEBHOOK_DIR`

          --webhook-image <IMAGE|FILE>
              An image of it, for a real cluster: one that Docker has, or the file that `docker save`
              makes. Its container, run as user 65532, has the same variables in its environment

          --webhook-args <ARGS>
              The arguments of its container, with the same placeholders [default: those of the image]

          --webhook-port <PORT>
              The port that its container listens on [default: 8443]

          --webhook-cert-dir <DIR>
              Where its container finds `tls.crt` and `tls.key` [default: /run/tokenlab-webhook/tls]

          --webhook-path <PATH>
              Where it takes reviews [default: /authenticate]

          --token-file <FILE>
              The file with the token to try, `-` for the standard input [default: the tutorial's token]

          --token <TOKEN>
              The token to try; everybody on this machine can read it in the list of processes

    Examples:
      tokenlab demo
      tokenlab demo --verbose
      tokenlab demo --kubernetes 1.36
      tokenlab demo --backend kind             on a real cluster, the webhook in it
      tokenlab demo --backend kind --wire create --reach dns
      tokenlab demo --backend k3s --no-agent   on a control plane alone
      tokenlab demo --json | jq -r .kubectl.stderr

    Your own webhook:
      tokenlab demo --webhook-command './authn {address} {cert} {key}'
      tokenlab demo --webhook-url https://127.0.0.1:[port]/authenticate --ca ca.crt
      tokenlab demo --backend kind --webhook-image me/authn:dev
      tokenlab demo --backend existing --kubeconfig theirs.yaml --hold

    It succeeds (exit status 0) only if the apiserver recognises "mock" and
    forbids it to list namespaces; with your own webhook, if that says what the
    token is worth and the apiserver does so.
    "#);
}

#[tokio::test]
async fn version() {
    let output = outcome(&["--version"]).await;
    assert!(output.status.success());
    let version = concat!("tokenlab ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(output.stdout, version);
}

#[tokio::test]
async fn nothing_asked_for() {
    let output = outcome(&[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, "");
    assert!(
        output.stderr.contains("Usage: tokenlab <COMMAND>"),
        "{output}"
    );
}

#[tokio::test]
async fn an_unknown_command() {
    assert_text!(outcome(&["dmeo"]).await, @"
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'dmeo'

      tip: a similar subcommand exists: 'demo'

    Usage: tokenlab <COMMAND>

    For more information, try '--help'.
    ");
}

#[tokio::test]
async fn a_flag_for_real_clusters_on_the_bare_backend() {
    assert_text!(outcome(&["demo", "--wire", "create"]).await, @"
    exit code: 2
    ----- stderr -----
    error: `--wire` is for a real cluster: add `--backend kind`

    Usage: tokenlab demo [OPTIONS]

    For more information, try '--help'.
    ");
}

#[tokio::test]
async fn a_flag_of_k3s_without_it() {
    assert_text!(outcome(&["demo", "--no-agent"]).await, @"
    exit code: 2
    ----- stderr -----
    error: `--no-agent` is for k3s: add `--backend k3s`

    Usage: tokenlab demo [OPTIONS]

    For more information, try '--help'.
    ");
}

#[tokio::test]
async fn an_unknown_backend() {
    assert_text!(outcome(&["demo", "--backend", "minikube"]).await, @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'minikube' for '--backend <BACKEND>'
      [possible values: bare, kind, k3s, existing]

    For more information, try '--help'.
    ");
}

#[rstest]
#[case::word("banana")]
#[case::major_only("1")]
#[case::four_parts("1.2.3.4")]
#[tokio::test]
async fn a_version_that_is_none(#[case] text: &str) {
    let output = outcome(&["demo", "--kubernetes", text]).await;
    assert_eq!(output.status.code(), Some(2), "{output}");
    assert_eq!(output.stdout, "");
    let reason = format!(
        "error: invalid value '{text}' for '--kubernetes <VERSION>': \
         `{text}` is neither a series such as `1.36` nor a version such as `v1.36.3`\n"
    );
    assert!(output.stderr.starts_with(&reason), "{output}");
}

#[rstest]
#[case::verbose("--verbose")]
#[case::hold("--hold")]
#[tokio::test]
async fn json_does_not_go_with(#[case] flag: &str) {
    let output = outcome(&["demo", "--json", flag]).await;
    assert_eq!(output.status.code(), Some(2), "{output}");
    assert_eq!(output.stdout, "");
    let reason = format!("the argument '--json' cannot be used with '{flag}'\n");
    assert!(output.stderr.contains(&reason), "{output}");
}

#[rstest]
#[tokio::test]
async fn completions(#[values("bash", "elvish", "fish", "powershell", "zsh")] shell: &str) {
    let output = outcome(&["completions", shell]).await;
    assert!(output.status.success(), "{output}");
    assert_eq!(output.stderr, "");
    for word in ["tokenlab", "demo", "assets", "completions", "kubernetes"] {
        assert!(output.stdout.contains(word), "{word}: {output}");
    }
    if !["bash", "fish", "zsh"].contains(&shell) {
        return;
    }
    if !has(shell) {
        skip(
            &format!("cli::usage::completions ({shell} reads it)"),
            "no such shell here",
        );
        return;
    }
    let mut reader = Command::new(shell)
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("must start");
    let mut stdin = reader.stdin.take().expect("must be a pipe");
    stdin
        .write_all(output.stdout.as_bytes())
        .await
        .expect("must be read");
    drop(stdin);
    let read = reader.wait_with_output().await.expect("must end");
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
}
