//! The webhook in the cluster: waited for, with the reason when it does not come.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Node, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, ListParams, LogParams};

use crate::manifests::Manifests;
use crate::wait::{Poll, Probe, WaitError, until};

/// Why the webhook does not answer in the cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// It was not available in time.
    #[error("the webhook is not available in the cluster: {seen}\n{reasons}")]
    NotAvailable {
        /// What the Deployment said.
        seen: String,
        /// States of containers, events, the end of its log.
        reasons: String,
    },
    /// Its image cannot be had.
    #[error("the cluster does not get the image `{image}`: {said}")]
    NoImage {
        /// The image.
        image: String,
        /// What the kubelet said.
        said: String,
    },
    /// The apiserver did not answer.
    #[error("the cluster could not be asked for the webhook")]
    Ask(#[source] Box<kube::Error>),
    /// Its Service has no address of its own.
    #[error("the webhook's Service has no address: `{has}`")]
    NoAddress {
        /// What it has: nothing, or `None` when it is headless.
        has: String,
    },
}

impl DeploymentError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoImage { .. } => Some(
                "load it into the node before it is deployed: `Cluster::load`, or by hand `kind load image-archive` (on k3s `ctr images import`)".to_owned(),
            ),
            Self::NotAvailable { .. } | Self::Ask(_) | Self::NoAddress { .. } => None,
        }
    }
}

const POLL: Poll = Poll {
    every: Duration::from_millis(100),
    within: Duration::from_secs(120),
};

/// A kubelet tells its state every 10 s when it has changed.
const BACK: Poll = Poll {
    every: Duration::from_millis(200),
    within: Duration::from_secs(30),
};

fn of_it(manifests: &Manifests) -> ListParams {
    ListParams::default().labels(&format!("app.kubernetes.io/instance={}", manifests.name))
}

/// Removes Pods of an earlier try that are not ready, which may start by now: the kubelet would
/// look again after a pause that grows to minutes.
pub(super) async fn try_again(
    client: &kube::Client,
    manifests: &Manifests,
) -> Result<(), DeploymentError> {
    let ask = |error| DeploymentError::Ask(Box::new(error));
    let pods: Api<Pod> = Api::namespaced(client.clone(), &manifests.namespace);
    for pod in pods.list(&of_it(manifests)).await.map_err(ask)? {
        if let (false, Some(name)) = (is_ready(&pod), &pod.metadata.name) {
            let now = DeleteParams::default().grace_period(0);
            match pods.delete(name, &now).await {
                // One that was ending has ended meanwhile.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted.map_err(ask)?),
            }
        }
    }
    Ok(())
}

/// Waits until its Pods are ready; gives up when one is stuck.
pub(super) async fn available(
    client: &kube::Client,
    manifests: &Manifests,
) -> Result<(), DeploymentError> {
    let namespace = &manifests.namespace;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let look = async || {
        let deployment = match deployments.get_status(&manifests.name).await {
            Ok(deployment) => deployment,
            Err(error) => return Probe::NotYet(error.to_string().into()),
        };
        let ready = match rolled_out(&deployment, manifests.replicas) {
            Ok(()) => return Probe::Ready(()),
            Err(ready) => ready,
        };
        match pods.list(&of_it(manifests)).await {
            Ok(list) => match list.items.iter().find_map(stuck) {
                Some(stuck) => Probe::Fatal(stuck),
                None => Probe::NotYet(
                    format!("{ready} of {} new Pods are ready", manifests.replicas).into(),
                ),
            },
            Err(error) => Probe::NotYet(error.to_string().into()),
        }
    };
    let seen = match until("the webhook is available", POLL, look).await {
        Ok(()) => return Ok(()),
        Err(WaitError::Fatal(Stuck::NoImage(said))) => {
            let image = manifests.image.to_string();
            return Err(DeploymentError::NoImage { image, said });
        }
        Err(WaitError::Fatal(Stuck::Ends(said))) => said,
        Err(error @ WaitError::TimedOut { .. }) => error.to_string(),
    };
    let list = pods.list(&of_it(manifests)).await;
    let list = list.map_err(|error| DeploymentError::Ask(Box::new(error)))?;
    let mut reasons = reasons(client, namespace, &pods, &list.items).await;
    if let Ok(deployment) = deployments.get_status(&manifests.name).await {
        reasons.extend(refusals(&deployment));
    }
    if reasons.is_empty() {
        reasons.push("  no Pod was made: is kube-controller-manager running?".to_owned());
    }
    Err(DeploymentError::NotAvailable {
        seen,
        reasons: reasons.join("\n"),
    })
}

/// Whether all Pods are of the newest template and available, as `kubectl rollout status` looks
/// at it; else how many are.
pub(crate) fn rolled_out(deployment: &Deployment, replicas: i32) -> Result<(), i32> {
    let Some(status) = &deployment.status else {
        return Err(0);
    };
    // Of an older generation it says nothing of what was just applied.
    if status.observed_generation < deployment.metadata.generation {
        return Err(0);
    }
    let updated = status.updated_replicas.unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    let all = status.replicas.unwrap_or_default();
    if updated >= replicas && all == updated && available == updated {
        Ok(())
    } else {
        Err(updated.min(available))
    }
}

/// Why no Pod may be made: what an admission plugin or a quota said.
fn refusals(deployment: &Deployment) -> impl Iterator<Item = String> {
    let conditions = deployment.status.iter();
    let conditions = conditions.flat_map(|status| status.conditions.iter().flatten());
    let failures =
        conditions.filter(|condition| condition.type_.as_deref() == Some("ReplicaFailure"));
    failures.map(|condition| {
        let message = condition.message.as_deref().unwrap_or_default();
        format!("  Deployment: {message}")
    })
}

/// Waits until the node says that it is ready, with what it says since it was started anew, and its
/// Pods are. Before that its controller takes them for lost, and the Service refuses connections,
/// though the webhook may have answered by the rules of before.
pub(super) async fn back(client: &kube::Client, manifests: &Manifests, since: &Time) {
    let nodes: Api<Node> = Api::all(client.clone());
    let pods: Api<Pod> = Api::namespaced(client.clone(), &manifests.namespace);
    let look = async || {
        let all = ListParams::default();
        let of_it = of_it(manifests);
        match tokio::try_join!(nodes.list(&all), pods.list(&of_it)) {
            Ok((nodes, pods)) => {
                let nodes = nodes.items.iter().all(|node| says_ready(node, since));
                if nodes && pods.items.iter().all(is_ready) {
                    Probe::<(), Infallible>::Ready(())
                } else {
                    Probe::NotYet("the node is not ready again".into())
                }
            }
            Err(error) => Probe::NotYet(error.to_string().into()),
        }
    };
    // A kubelet with nothing new to say says nothing for minutes: whether the webhook answers is
    // asked in any case.
    let _ = until("the node is ready again", BACK, look).await;
}

fn says_ready(node: &Node, since: &Time) -> bool {
    let conditions = node.status.iter();
    let mut conditions = conditions.flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| {
        let said = condition.last_heartbeat_time.as_ref();
        condition.type_ == "Ready"
            && condition.status == "True"
            && said.is_some_and(|said| said >= since)
    })
}

/// The address that the webhook's Service got.
pub(super) async fn address(
    client: &kube::Client,
    manifests: &Manifests,
) -> Result<IpAddr, DeploymentError> {
    let services: Api<Service> = Api::namespaced(client.clone(), &manifests.namespace);
    let service = services.get(&manifests.name).await;
    let service = service.map_err(|error| DeploymentError::Ask(Box::new(error)))?;
    let has = service.spec.and_then(|spec| spec.cluster_ip);
    let has = has.unwrap_or_default();
    has.parse()
        .map_err(|_not_an_address| DeploymentError::NoAddress { has })
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|status| status.container_statuses.iter().flatten())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter();
    let mut conditions = conditions.flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// What will not come by itself, in the kubelet's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stuck {
    /// Its image is not there.
    #[error("{0}")]
    NoImage(String),
    /// It ends again and again.
    #[error("{0}")]
    Ends(String),
}

pub(crate) fn stuck(pod: &Pod) -> Option<Stuck> {
    statuses(pod).find_map(|status| {
        let waiting = status.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        let message = waiting.message.as_deref().unwrap_or_default();
        let said = format!("{reason} {message}").trim().to_owned();
        match reason {
            "ErrImageNeverPull" | "InvalidImageName" | "ImagePullBackOff" => {
                Some(Stuck::NoImage(said))
            }
            "CrashLoopBackOff" => Some(Stuck::Ends(said)),
            _ => None,
        }
    })
}

async fn reasons(
    client: &kube::Client,
    namespace: &str,
    api: &Api<Pod>,
    pods: &[Pod],
) -> Vec<String> {
    let mut lines = Vec::new();
    for pod in pods {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        for status in statuses(pod) {
            let state = serde_json::to_string(&status.state).unwrap_or_default();
            lines.push(format!("  {name}: {} {state}", status.name));
        }
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let of_pod = ListParams::default().fields(&format!("involvedObject.name={name}"));
        for event in events.list(&of_pod).await.into_iter().flatten() {
            lines.push(format!(
                "  event: {} {}",
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default()
            ));
        }
        let tail = LogParams {
            tail_lines: Some(8),
            ..LogParams::default()
        };
        if let Ok(log) = api.logs(name, &tail).await {
            lines.extend(log.lines().map(|line| format!("  log: {line}")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_said_before_it_was_started_anew_does_not_count() {
        let node = |status: &str, said: &str| {
            let condition = serde_json::json!({
                "type": "Ready", "status": status, "lastHeartbeatTime": said,
            });
            let node = serde_json::json!({ "status": { "conditions": [condition] } });
            serde_json::from_value::<Node>(node).expect("must be a Node")
        };
        let since = serde_json::from_str(r#""2026-01-01T00:00:09.123456789Z""#);
        let since = since.expect("must be a time");
        assert!(says_ready(&node("True", "2026-01-01T00:00:10Z"), &since));
        assert!(!says_ready(&node("False", "2026-01-01T00:00:10Z"), &since));
        assert!(!says_ready(&node("True", "2026-01-01T00:00:08Z"), &since));
    }

    fn pod(reason: &str) -> Pod {
        let pod = serde_json::json!({
            "metadata": { "name": "my-authn-1" },
            "status": { "containerStatuses": [{
                "name": "webhook", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": reason, "message": "it is not there" } },
            }] },
        });
        serde_json::from_value(pod).expect("must be a Pod")
    }

    #[test]
    fn old_pods_do_not_count() {
        let deployment = |generation, observed, replicas, updated, available| {
            let deployment = serde_json::json!({
                "metadata": { "generation": generation },
                "status": {
                    "observedGeneration": observed, "replicas": replicas,
                    "updatedReplicas": updated, "availableReplicas": available,
                },
            });
            serde_json::from_value::<Deployment>(deployment).expect("must be a Deployment")
        };
        let rolled_out = |deployment| rolled_out(&deployment, 1);
        assert_eq!(rolled_out(deployment(2, 2, 1, 1, 1)), Ok(()));
        assert_eq!(
            rolled_out(deployment(2, 1, 1, 1, 1)),
            Err(0),
            "not seen yet"
        );
        assert_eq!(
            rolled_out(deployment(2, 2, 2, 1, 1)),
            Err(1),
            "the old one is there"
        );
        assert_eq!(
            rolled_out(deployment(2, 2, 1, 0, 1)),
            Err(0),
            "the new one is not"
        );
        assert_eq!(rolled_out(Deployment::default()), Err(0));
    }

    #[test]
    fn what_never_comes_is_told_from_what_may() {
        let said = stuck(&pod("ErrImageNeverPull"));
        let never = Stuck::NoImage("ErrImageNeverPull it is not there".to_owned());
        assert_eq!(said, Some(never));
        assert_eq!(stuck(&pod("ContainerCreating")), None);
        let ends = stuck(&pod("CrashLoopBackOff"));
        assert!(matches!(ends, Some(Stuck::Ends(_))), "{ends:?}");
    }
}
