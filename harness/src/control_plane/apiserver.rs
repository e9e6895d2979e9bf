//! The flags of kube-apiserver that a lab sets, and how it is known to be ready.

use std::convert::Infallible;
use std::time::Duration;

use camino::Utf8Path;

use super::{Environment, Flags, Plan, Poll, Probe, Process, StartError, etcd};

/// Where the lab's services get their addresses; the first is `kubernetes.default`.
const SERVICE_CIDR: &str = "10.0.0.0/24";
pub(super) const FIRST_SERVICE_ADDRESS: &str = "10.0.0.1";

/// File names in the control plane's folder.
pub(super) const CA: &str = "ca.crt";
pub(super) const SERVING_CERTIFICATE: &str = "apiserver.crt";
pub(super) const SERVING_KEY: &str = "apiserver.key";
pub(super) const SIGNING_KEY: &str = "sa.key";
pub(super) const VERIFYING_KEY: &str = "sa.pub";

/// The defaults: what a real cluster has (RBAC, service accounts signed by a key of its own),
/// less what needs the other controllers.
pub(super) fn flags(folder: &Utf8Path, port: u16) -> Flags {
    let file = |name: &str| folder.join(name).into_string();
    let mut flags = Flags::default();
    flags
        .set("etcd-servers", etcd::URL)
        .set("bind-address", "127.0.0.1")
        .set("secure-port", port.to_string())
        // Beside the socket that holds the port for us (see `ports`).
        .set("permit-port-sharing", "true")
        // Without it a host with no default route has "no suitable network address"; and an
        // Endpoints object with a loopback address is refused, so none is written.
        .set("advertise-address", "127.0.0.1")
        .set("endpoint-reconciler-type", "none")
        .set("tls-cert-file", file(SERVING_CERTIFICATE))
        .set("tls-private-key-file", file(SERVING_KEY))
        .set("client-ca-file", file(CA))
        .set("authorization-mode", "RBAC")
        .set("service-cluster-ip-range", SERVICE_CIDR)
        .set("service-account-issuer", "https://kubernetes.default.svc")
        .set("service-account-key-file", file(VERIFYING_KEY))
        .set("service-account-signing-key-file", file(SIGNING_KEY))
        // No controller makes a `default` service account here, and Pods would be refused.
        .set("disable-admission-plugins", "ServiceAccount");
    flags
}

/// The plan for an apiserver with these flags in this environment.
pub(super) fn plan(
    program: &Utf8Path,
    folder: &Utf8Path,
    logs: &Utf8Path,
    flags: &Flags,
    env: &Environment,
) -> Plan {
    Plan {
        name: "kube-apiserver",
        program: program.to_owned(),
        args: flags.args(),
        env: env.clone(),
        inherit: false,
        folder: folder.to_owned(),
        log: logs.join("kube-apiserver.log"),
    }
}

/// Waits until `/readyz` answers `ok` to the admin: with `--anonymous-auth=false` it answers
/// nobody else, and before the RBAC roles are there it is not ready. Then until the namespace
/// `default` is there, which `/readyz` does not wait for
/// (`kubernetes/pkg/controlplane/apiserver/server.go`, v1.37.2, `start-system-namespaces-controller`):
/// whoever made something in it first would be told that it was not found.
pub(super) async fn ready(apiserver: &Process, client: &kube::Client) -> Result<(), StartError> {
    let poll = Poll {
        every: Duration::from_millis(20),
        within: Duration::from_secs(120),
    };
    apiserver
        .ready(poll, async || -> Probe<(), Infallible> {
            for path in ["/readyz?verbose", "/api/v1/namespaces/default"] {
                if let Err(unready) = answers(client, path).await {
                    return Probe::NotYet(unready.into());
                }
            }
            Probe::Ready(())
        })
        .await
}

/// Whether the apiserver answers a request for this path with a success; else what it does.
pub(crate) async fn answers(client: &kube::Client, path: &'static str) -> Result<(), String> {
    let request = http::Request::get(path)
        .body(Vec::new())
        .expect("a constant request is valid");
    let (path, _query) = path.split_once('?').unwrap_or((path, ""));
    // A connection that was accepted and never answered must not hold the wait.
    // Boxed: it is some kilobytes large, and part of every future that starts a lab.
    let answer = Box::pin(client.request_text(request));
    match tokio::time::timeout(Duration::from_secs(5), answer).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(format!("`{path}`: {}", unready(&status.message))),
        Ok(Err(error)) => Err(format!("`{path}`: {}", root(&error))),
        Err(_elapsed) => Err(format!("`{path}` did not answer within 5 s")),
    }
}

/// The checks of a verbose `/readyz` that failed: its lines that begin with `[-]`.
fn unready(report: &str) -> String {
    let failed: Vec<&str> = report
        .lines()
        .filter_map(|line| line.strip_prefix("[-]")?.split(' ').next())
        .collect();
    if failed.is_empty() {
        report.lines().next().unwrap_or_default().to_owned()
    } else {
        format!("waits for {}", failed.join(", "))
    }
}

fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
