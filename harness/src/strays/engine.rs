//! Containers, networks and images without an owner.

use std::collections::HashMap;
use std::time::Duration;

use super::folders;
use super::{Kind, Stray, StrayError, Verdict};
use crate::docker::{LABEL, OWNER_LABEL};
use crate::owner::{Life, Owner};
use crate::tool::{Tool, ToolError};

/// An engine that does not answer within this time is not asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the removal of one thing may take.
const REMOVAL: Duration = Duration::from_secs(60);

/// The container engine.
pub(super) struct Engine(Tool);

/// Something in it.
struct Thing {
    kind: Kind,
    name: String,
    owner: Option<Owner>,
}

impl Engine {
    /// That of this user, if it answers.
    pub(super) async fn find() -> Option<Self> {
        let tool = Tool::find("docker").ok()?;
        let args = ["version", "--format", "{{.Server.Version}}"];
        tool.run_within(PATIENCE, &args).await.ok()?;
        Some(Self(tool))
    }

    /// What nobody owns, or may own.
    /// `guardian` may be of their owner, when they name none.
    pub(super) async fn strays(&self, guardian: Option<u32>) -> Vec<Stray> {
        let things = self.things().await.unwrap_or_default();
        // A container that kind made has no label of ours, its network has.
        let owners: HashMap<_, _> = things
            .iter()
            .filter(|thing| thing.kind == Kind::Network)
            .filter_map(|thing| Some((thing.name.clone(), thing.owner.clone()?)))
            .collect();
        let verdicts = things.into_iter().filter_map(|thing| {
            let cluster = cluster_of(&thing.name)?;
            let owner = thing.owner.as_ref().or_else(|| owners.get(cluster));
            let (verdict, why) = match owner {
                Some(owner) if !owner.is_ours() => return None,
                Some(owner) => match owner.life() {
                    Life::Lives | Life::Elsewhere => return None,
                    Life::Ended => (
                        Verdict::Lost,
                        format!("its owner, pid {}, has ended", owner.pid),
                    ),
                    Life::BeforeBoot => (
                        Verdict::Lost,
                        "its owner ended before the last boot".to_owned(),
                    ),
                },
                None => match guardian {
                    Some(pid) => (
                        Verdict::Unclear,
                        format!("it names no owner, and the guardian {pid} may be of its owner"),
                    ),
                    None => (
                        Verdict::Lost,
                        "it names no owner, and nobody guards anything".to_owned(),
                    ),
                },
            };
            Some(Stray {
                kind: thing.kind,
                name: thing.name,
                verdict,
                why,
            })
        });
        verdicts.collect()
    }

    async fn things(&self) -> Result<Vec<Thing>, ToolError> {
        let owner = format!("{{{{.Label \"{OWNER_LABEL}\"}}}}");
        let containers = format!("{{{{.Names}}}}\t{owner}");
        let networks = format!("{{{{.Name}}}}\t{owner}");
        let label = format!("label={LABEL}");
        let lists: [(Kind, &[&str]); 3] = [
            (
                Kind::Container,
                &[
                    "ps",
                    "--all",
                    "--filter",
                    "name=^tokenlab-",
                    "--format",
                    &containers,
                ],
            ),
            (
                Kind::Network,
                &["network", "ls", "--filter", &label, "--format", &networks],
            ),
            (
                Kind::Image,
                &[
                    "image",
                    "ls",
                    "--filter",
                    "reference=tokenlab.invalid/*",
                    "--format",
                    "{{.Repository}}:{{.Tag}}\t",
                ],
            ),
        ];
        let mut things = Vec::new();
        for (kind, args) in lists {
            let said = self.0.run_within(PATIENCE, args).await?;
            things.extend(said.lines().filter_map(|line| {
                let (name, owner) = line.split_once('\t')?;
                Some(Thing {
                    kind,
                    name: name.to_owned(),
                    owner: owner.parse().ok(),
                })
            }));
        }
        Ok(things)
    }
}

/// The cluster that something is of: all that is made for one begins with its name.
fn cluster_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix("tokenlab.invalid/").unwrap_or(name);
    let end = "tokenlab-".len() + 12;
    let cluster = name.get(..end)?;
    let rest = &name[end..];
    let whole = rest.is_empty() || rest.starts_with(['-', ':']);
    (folders::is_name(cluster) && whole).then_some(cluster)
}

/// Removes one thing.
pub(super) async fn remove(kind: Kind, name: &str) -> Result<(), StrayError> {
    let args: &[&str] = match kind {
        Kind::Container => &["rm", "--force", "--volumes", "--", name],
        Kind::Network => &["network", "rm", "--", name],
        _ => &["image", "rm", "--", name],
    };
    let removed = match Tool::find("docker") {
        Ok(tool) => tool.run_within(REMOVAL, args).await,
        Err(error) => Err(error),
    };
    removed.map(drop).map_err(|error| StrayError {
        what: name.to_owned(),
        why: error.to_string(),
    })
}

/// Removes all of a cluster whose owner is gone.
pub(crate) async fn remove_cluster(cluster: &str) {
    let Some(engine) = Engine::find().await else {
        return;
    };
    let things = engine.things().await.unwrap_or_default();
    // In the order of the lists: a network goes when nothing is attached to it.
    for thing in things {
        if cluster_of(&thing.name) == Some(cluster) {
            // What is gone by now is no failure, and what stays `down --all` tells of.
            let _ = remove(thing.kind, &thing.name).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_a_cluster_begins_with_its_name() {
        let cluster = "tokenlab-0123456789ab";
        for name in [
            cluster,
            "tokenlab-0123456789ab-control-plane",
            "tokenlab.invalid/tokenlab-0123456789ab:webhook-0",
        ] {
            assert_eq!(cluster_of(name), Some(cluster), "{name}");
        }
        for name in [
            "tokenlab-mine",
            "tokenlab-0123456789abc",
            "kind-control-plane",
            "",
        ] {
            assert_eq!(cluster_of(name), None, "{name}");
        }
    }
}
