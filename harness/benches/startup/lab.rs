//! A whole lab, from nothing to Forbidden.

use std::time::Instant;

use anyhow::ensure;
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Lab, fresh_token};

use crate::sample::Sample;
use crate::table::Table;

const FORBIDDEN: &str = r#"User "mock" cannot list resource "namespaces""#;

#[derive(Default)]
struct Samples {
    whole: Sample,
    plan: Sample,
    start: Sample,
    kubectl: Sample,
}

/// Adds the rows.
pub(crate) async fn measure(
    wanted: &Wanted,
    rounds: usize,
    progress: &Progress,
    table: &mut Table<4>,
) -> anyhow::Result<()> {
    let mut samples = Samples::default();
    for round in 0..=rounds {
        let title = match round {
            0 => "labs: a round that is not counted".to_owned(),
            _ => format!("labs: round {round} of {rounds}"),
        };
        let work = Box::pin(samples.round(wanted.clone()));
        progress.step(&title, work).await?;
        if round == 0 {
            samples = Samples::default();
        }
    }
    let Samples {
        whole,
        plan,
        start,
        kubectl,
    } = samples;
    for (what, sample) in [
        ("lab, nothing to Forbidden for \"mock\"", whole),
        ("… programs found, webhook, certificates, files", plan),
        ("… etcd and kube-apiserver", start),
        ("… `kubectl get ns`", kubectl),
    ] {
        let ours = sample.to_string();
        table.row([what.to_owned(), ours, String::new(), String::new()]);
    }
    Ok(())
}

impl Samples {
    async fn round(&mut self, wanted: Wanted) -> anyhow::Result<()> {
        let begin = Instant::now();
        let plan = Lab::builder().kubernetes(wanted).plan().await?;
        let planned = begin.elapsed();
        let lab = plan.start().await?;
        let started = begin.elapsed();
        let output = lab.kubectl_as(&fresh_token())?.run(["get", "ns"]).await?;
        let whole = begin.elapsed();
        lab.stop().await;
        ensure!(output.stderr.contains(FORBIDDEN), "not forbidden: {output}");

        self.whole.add(whole);
        self.plan.add(planned);
        self.start.add(started.saturating_sub(planned));
        self.kubectl.add(whole.saturating_sub(started));
        Ok(())
    }
}
