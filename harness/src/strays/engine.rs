//! Containers, networks and images without an owner.

use std::collections::HashMap;
use std::time::Duration;

use super::{Kind, Stray, StrayError, Verdict, verdict};
use crate::docker::{LABEL, OWNER_LABEL};
use crate::owner::Owner;
use crate::run_folder::is_name;
use crate::tool::{Tool, ToolError};

/// An engine that does not answer within this time is not asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the removal of one thing may take.
const REMOVAL: Duration = Duration::from_secs(60);

/// The container engine.
struct Engine(Tool);

/// Something in it.
struct Thing {
    kind: Kind,
    name: String,
    owner: Option<Owner>,
}

/// What nobody owns, or may own; an engine that does not tell is among it.
/// `guardian` may be of their owner, when they name none.
pub(super) async fn strays(guardian: Option<u32>) -> Vec<Stray> {
    let things = match Engine::find().await {
        Ok(engine) => engine.things().await,
        // Without docker there is nothing of ours.
        Err(ToolError::Missing { .. }) => return Vec::new(),
        Err(error) => Err(error),
    };
    match things {
        Ok(things) => judged(things, guardian),
        Err(error) => vec![Stray {
            kind: Kind::Engine,
            name: "docker".to_owned(),
            verdict: Verdict::Unclear,
            why: format!("it was not asked: {}", reason(&error)),
            identity: None,
        }],
    }
}

/// In one line, for a list.
fn reason(error: &ToolError) -> String {
    match error.said().lines().next() {
        Some(said) => said.to_owned(),
        None => error.to_string(),
    }
}

fn judged(things: Vec<Thing>, guardian: Option<u32>) -> Vec<Stray> {
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
            Some(owner) => verdict::of_owner(owner.life(), owner.pid)?,
            None => verdict::of_nobody(guardian),
        };
        Some(Stray {
            kind: thing.kind,
            name: thing.name,
            verdict,
            why,
            identity: None,
        })
    });
    verdicts.collect()
}

impl Engine {
    /// That of this user, if it answers.
    async fn find() -> Result<Self, ToolError> {
        let tool = Tool::find("docker")?;
        let args = ["version", "--format", "{{.Server.Version}}"];
        tool.run_within(PATIENCE, &args).await?;
        Ok(Self(tool))
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
    (is_name(cluster) && whole).then_some(cluster)
}

/// Removes one thing; what somebody else has removed meanwhile is no failure.
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
    let Err(error) = removed else {
        return Ok(());
    };
    let is_there = async || Engine::find().await?.things().await;
    match is_there().await {
        Ok(things) if !(things.iter()).any(|it| it.kind == kind && it.name == name) => Ok(()),
        _ => Err(StrayError {
            what: name.to_owned(),
            why: error.to_string(),
        }),
    }
}

/// Removes all of a cluster whose owner is gone.
pub(crate) async fn remove_cluster(cluster: &str) -> Result<(), StrayError> {
    let failed = |why: String| StrayError {
        what: format!("the cluster {cluster}"),
        why,
    };
    let asked = |error: ToolError| failed(error.to_string());
    let engine = Engine::find().await.map_err(asked)?;
    let of_it = |thing: &Thing| cluster_of(&thing.name) == Some(cluster);
    // In the order of the lists: a network goes when nothing is attached to it.
    let mut why = None;
    for thing in engine.things().await.map_err(asked)? {
        if of_it(&thing)
            && let Err(error) = remove(thing.kind, &thing.name).await
        {
            why.get_or_insert(error);
        }
    }
    match why {
        // What was gone by then is no failure.
        Some(error) if (engine.things().await.map_err(asked)?).iter().any(of_it) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of another user, of nobody, and of another machine; a node has its network's owner.
    #[test]
    fn what_may_be_somebody_elses_stays() {
        let network = "tokenlab-0123456789ab";
        let owned = |owner: Option<&str>| {
            let owner = owner.map(|owner| owner.parse().expect("must be an owner"));
            let thing = |kind, name: &str, owner| Thing {
                kind,
                name: name.to_owned(),
                owner,
            };
            vec![
                thing(Kind::Container, "tokenlab-0123456789ab-control-plane", None),
                thing(Kind::Network, network, owner),
            ]
        };
        let verdicts = |owner: Option<&str>, guardian| {
            let strays = judged(owned(owner), guardian).into_iter();
            strays.map(|stray| stray.verdict).collect::<Vec<_>>()
        };
        let us = Owner::current();
        let uid = us.uid;
        let (ours, theirs) = (us.to_string(), format!("{}:2:3:4:5:6", uid + 1));
        let of_another_machine = format!("{uid}:77:123:another-boot:4026531836:another");
        let of_before = format!("{uid}:77:123:another-boot:4026531836");
        assert_eq!(verdicts(Some(&ours), None), []);
        assert_eq!(verdicts(Some(&theirs), None), []);
        assert_eq!(
            verdicts(Some(&of_another_machine), None),
            [Verdict::Unclear; 2]
        );
        assert_eq!(verdicts(Some(&of_before), None), [Verdict::Unclear; 2]);
        assert_eq!(verdicts(None, Some(7)), [Verdict::Unclear; 2]);
        assert_eq!(verdicts(None, None), [Verdict::Lost; 2]);
        let text = ours.replacen(&format!(":{}:", us.pid), ":1:", 1);
        assert_eq!(verdicts(Some(&text), None), [Verdict::Lost; 2]);
    }

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
