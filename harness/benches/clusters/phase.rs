//! What a cluster goes through on its way to Forbidden, and what each part took.

use std::time::{Duration, Instant};

use crate::sample::Sample;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Prepare,
    Create,
    Load,
    Deploy,
    Wire,
    Forbidden,
}

impl Phase {
    pub(crate) const ALL: [Self; 6] = [
        Self::Prepare,
        Self::Create,
        Self::Load,
        Self::Deploy,
        Self::Wire,
        Self::Forbidden,
    ];

    /// As the tutorial's script calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Create => "create",
            Self::Load => "load",
            Self::Deploy => "deploy",
            Self::Wire => "wire",
            Self::Forbidden => "forbidden",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Prepare => "… programs found, certificates, files",
            Self::Create => "… cluster created",
            Self::Load => "… image loaded",
            Self::Deploy => "… objects applied, webhook there",
            Self::Wire => "… flag patched, apiserver back",
            Self::Forbidden => "… `kubectl get ns`, until Forbidden",
        }
    }
}

/// The phases of one cluster, in their order.
#[derive(Debug, Default)]
pub(crate) struct Round(Vec<(Phase, Duration)>);

impl Round {
    pub(crate) fn add(&mut self, phase: Phase, duration: Duration) {
        self.0.push((phase, duration));
    }

    fn sum(&self, counts: impl Fn(Phase) -> bool) -> Duration {
        let counted = self.0.iter().filter(|(phase, _)| counts(*phase));
        counted.map(|(_, duration)| *duration).sum()
    }
}

/// Measures a round, phase after phase.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    round: Round,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            round: Round::default(),
        }
    }

    /// The phase ends, and the next begins.
    pub(crate) fn ends(&mut self, phase: Phase) {
        let now = Instant::now();
        self.round.add(phase, now - self.began);
        self.began = now;
    }

    pub(crate) fn stop(self) -> Round {
        self.round
    }
}

/// One way to Forbidden, taken again and again.
#[derive(Debug, Default)]
pub(crate) struct Way(Vec<Round>);

impl Way {
    pub(crate) fn add(&mut self, round: Round) {
        self.0.push(round);
    }

    /// The sum of the phases that count, of each round; `None` when the way has none of them.
    pub(crate) fn sample(&self, counts: impl Fn(Phase) -> bool) -> Option<Sample> {
        let mut sample = Sample::default();
        for round in &self.0 {
            if !round.0.iter().any(|(phase, _)| counts(*phase)) {
                return None;
            }
            sample.add(round.sum(&counts));
        }
        Some(sample)
    }
}
