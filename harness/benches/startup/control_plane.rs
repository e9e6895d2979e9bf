//! A control plane's start and end, beside envtest's.

use std::time::{Duration, Instant};

use http::Request;
use tokenlab_harness::assets::Assets;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{ControlPlane, ControlPlanePlan, RunFolder};

use crate::peer::Peer;
use crate::sample::Sample;
use crate::table::Table;

/// How a control plane is ended.
#[derive(Clone, Copy)]
enum End {
    Killed,
    Graceful,
}

/// What one control plane took.
struct Round {
    start: Duration,
    end: Duration,
    /// Whether the namespace that envtest waits for was there at once.
    has_default: bool,
}

#[derive(Default)]
struct Samples {
    start: Sample,
    killed: Sample,
    graceful: Sample,
    peer_start: Sample,
    peer_stop: Sample,
    with_default: usize,
}

/// Adds the rows, and returns the note that goes below the table.
pub(crate) async fn measure(
    assets: &Assets,
    peer: &mut Peer,
    rounds: usize,
    progress: &Progress,
    table: &mut Table<4>,
) -> anyhow::Result<String> {
    let mut samples = Samples::default();
    for round in 0..=rounds {
        let title = match round {
            0 => "control planes: a round that is not counted".to_owned(),
            _ => format!("control planes: round {round} of {rounds}"),
        };
        progress
            .step(&title, samples.round(assets, peer, round))
            .await?;
        if round == 0 {
            samples = Samples::default();
        }
    }
    samples.rows(peer, table);
    Ok(format!(
        "The namespace `default`, which envtest waits for, was there in {} of tokenlab's {rounds} \
         starts when it was ready.",
        samples.with_default
    ))
}

impl Samples {
    /// Every other round begins with the peer, so that neither always follows the same.
    async fn round(
        &mut self,
        assets: &Assets,
        peer: &mut Peer,
        round: usize,
    ) -> anyhow::Result<()> {
        let (killed, theirs) = if round.is_multiple_of(2) {
            let theirs = peer.round().await?;
            (run(assets, End::Killed).await?, theirs)
        } else {
            (run(assets, End::Killed).await?, peer.round().await?)
        };
        let graceful = run(assets, End::Graceful).await?;
        self.start.add(killed.start);
        self.killed.add(killed.end);
        self.graceful.add(graceful.end);
        self.with_default += usize::from(killed.has_default);
        if let Some((start, stop)) = theirs {
            self.peer_start.add(start);
            self.peer_stop.add(stop);
        }
        Ok(())
    }

    fn rows(&self, peer: &Peer, table: &mut Table<4>) {
        let rows = [
            (
                "control plane, start to ready",
                &self.start,
                &self.peer_start,
            ),
            (
                "control plane, end: killed at once",
                &self.killed,
                &self.peer_stop,
            ),
            (
                "control plane, end: graceful",
                &self.graceful,
                &self.peer_stop,
            ),
        ];
        for (what, ours, theirs) in rows {
            let (theirs, ratio) = match peer {
                Peer::Running(_) => (theirs.to_string(), ours.ratio(theirs)),
                Peer::Absent(reason) => (format!("not measured: {reason}"), String::new()),
            };
            table.row([what.to_owned(), ours.to_string(), theirs, ratio]);
        }
    }
}

async fn run(assets: &Assets, how: End) -> anyhow::Result<Round> {
    let begin = Instant::now();
    let folder = RunFolder::create()?;
    let started = ControlPlanePlan::new(assets, &folder)?.start().await;
    let plane = started.inspect_err(|_| folder.keep())?;
    let start = begin.elapsed();
    let has_default = has_default(&plane).await?;
    let begin = Instant::now();
    match how {
        End::Killed => plane.kill().await,
        End::Graceful => plane.stop().await,
    }
    drop(folder);
    Ok(Round {
        start,
        end: begin.elapsed(),
        has_default,
    })
}

async fn has_default(plane: &ControlPlane) -> anyhow::Result<bool> {
    let client = tokenlab_harness::client(plane.admin()).await?;
    let request = Request::get("/api/v1/namespaces/default").body(Vec::new())?;
    match client.request_text(request).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
