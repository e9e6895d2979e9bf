//! A port of this machine that leads to the webhook's Pod.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use url::Url;

use super::{Existing, ExistingError};
use crate::kubeconfig::Kubeconfig;
use crate::process::{Plan, Process};
use crate::wait::{Poll, Probe};
use crate::webhook::{Answer, Seen, post_seeing};

/// `kubectl port-forward`. Dropped, it is killed.
pub(super) struct Forward {
    process: Process,
    port: u16,
}

const POLL: Poll = Poll {
    every: Duration::from_millis(20),
    within: Duration::from_secs(20),
};

impl Forward {
    pub(super) async fn open(existing: &Existing) -> Result<Self, ExistingError> {
        let manifests = &existing.manifests;
        let service = format!("service/{}", manifests.name);
        let words = [
            "port-forward",
            "--address=127.0.0.1",
            "--namespace",
            &manifests.namespace,
            &service,
            ":443",
        ];
        let log = existing.folder.file("port-forward.log");
        let plan = Plan {
            name: "kubectl port-forward",
            program: existing.kubectl.program().to_owned(),
            args: existing
                .args(&words)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            env: BTreeMap::new(),
            inherit: true,
            folder: existing.folder.path().to_owned(),
            log: log.clone(),
        };
        // A port of before would be found in a log of before.
        let _ = std::fs::remove_file(&log);
        let process = plan.spawn().map_err(ExistingError::Forward)?;
        let look = async || match port(&std::fs::read_to_string(&log).unwrap_or_default()) {
            Some(port) => Probe::<_, Infallible>::Ready(port),
            None => Probe::NotYet("it forwards nothing".into()),
        };
        let port = process.ready(POLL, look).await;
        let port = port.map_err(ExistingError::Forward)?;
        Ok(Self { process, port })
    }

    pub(super) async fn post(
        &self,
        config: &Kubeconfig,
        body: String,
        seen: &Seen,
    ) -> Result<Answer, ExistingError> {
        let url = Url::parse(&config.server).ok();
        let name = url.as_ref().and_then(|url| url.host_str());
        let path = url.as_ref().map_or("", |url| url.path());
        let config = Kubeconfig {
            server: format!("https://127.0.0.1:{}{path}", self.port),
            tls_server_name: config.tls_server_name.clone().or(name.map(str::to_owned)),
            ..config.clone()
        };
        Ok(Box::pin(post_seeing(&config, body, seen)).await?)
    }

    pub(super) async fn close(self) {
        self.process.kill().await;
    }
}

/// `Forwarding from 127.0.0.1:38443 -> 8443`
fn port(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("Forwarding from 127.0.0.1:")?;
    rest.split_once(" ->")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_read_once_the_line_is_whole() {
        assert_eq!(port("Forwarding from 127.0.0.1:384"), None);
        let line = "Forwarding from 127.0.0.1:38443 -> 8443\n";
        assert_eq!(port(line), Some(38443));
    }
}
