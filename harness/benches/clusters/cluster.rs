//! tokenlab's own way, as its demo takes it.

use anyhow::{Context as _, ensure};
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::{Cluster, Image, RunFolder, Wire, fresh_token};

use crate::phase::{Clock, Phase, Round};
use crate::tutorial::FILES;

const FORBIDDEN: &str = r#"User "mock" cannot list resource "namespaces""#;

/// One cluster, from nothing to Forbidden. The files by which it was made are copied to `files`.
pub(crate) async fn run(
    wanted: Wanted,
    image: &Image,
    wire: Wire,
    files: Option<&RunFolder>,
) -> anyhow::Result<Round> {
    let mut clock = Clock::start();
    let builder = Cluster::builder().kubernetes(wanted).wire(wire);
    let plan = builder.plan().await?;
    clock.ends(Phase::Prepare);
    let run = plan.run(async |lab| {
        clock.ends(Phase::Create);
        to_forbidden(lab, image, wire, &mut clock).await?;
        files.map_or(Ok(()), |files| copy(lab, files))
    });
    run.await?;
    Ok(clock.stop())
}

async fn to_forbidden(
    lab: &Cluster,
    image: &Image,
    wire: Wire,
    clock: &mut Clock,
) -> anyhow::Result<()> {
    lab.load(image).await?;
    clock.ends(Phase::Load);
    lab.deploy().await?;
    clock.ends(Phase::Deploy);
    if wire == Wire::Patch {
        lab.wire().await?;
        clock.ends(Phase::Wire);
    }
    let output = lab.kubectl_as(&fresh_token())?.run(["get", "ns"]).await?;
    clock.ends(Phase::Forbidden);
    ensure!(output.stderr.contains(FORBIDDEN), "not forbidden: {output}");
    Ok(())
}

fn copy(lab: &Cluster, files: &RunFolder) -> anyhow::Result<()> {
    for name in FILES {
        let from = lab.plan().folder().file(name);
        std::fs::copy(&from, files.file(name)).with_context(|| format!("{from} is needed"))?;
    }
    Ok(())
}
