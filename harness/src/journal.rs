//! What a lab's webhook was asked, what it said, and what the apiserver remembered of it.
//!
//! The webhook writes down each review as it answers; the apiserver's audit log tells of the
//! requests that it was not asked about (`audit`). No token is in it, only a hash.

pub(crate) mod audit;
mod correlation;
mod event;
mod hash;
mod log_line;
mod rejections;
mod tail;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokenlab_webhook::{ApiVersion, Decision, Review, Token};
use tokio::sync::broadcast;

pub(crate) use event::clipped;
pub use event::{Outcome, ReviewEvent, Source};
pub use hash::TokenHash;

use crate::webhook::Fault;
use audit::Memory;
use hash::HashKey;

/// Who waits no longer than this has said so. A deadline that is farther is the router's own, a day.
const LONG_WAIT: Duration = Duration::from_secs(3600);

/// How many events are kept, and how many a slow reader may be behind.
const CAPACITY: usize = 1000;

/// The events of one lab: the last thousand, and those to come. Clones share them.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    key: HashKey,
    state: Mutex<State>,
    live: broadcast::Sender<ReviewEvent>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<ReviewEvent>,
    /// When the reviews began that have no answer yet.
    running: BTreeMap<u64, (Timestamp, Source)>,
    next: u64,
    /// The last time that the webhook was down.
    outage: Option<Outage>,
    /// When the apiserver was started, with nothing in its memory.
    apiserver_since: Timestamp,
    memory: Memory,
}

/// A time in which the webhook was down.
struct Outage {
    from: Timestamp,
    until: Option<Timestamp>,
}

/// The events to come, for one reader.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<ReviewEvent>);

/// What a reader of events gets next.
#[derive(Clone, Debug)]
pub enum Next {
    /// The next event.
    Event(ReviewEvent),
    /// The reader was too slow: so many events are lost to it.
    Missed(u64),
}

impl Journal {
    /// An empty one, with a key of its own for the hashes.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            key: HashKey::draw(),
            state: Mutex::default(),
            live: broadcast::channel(CAPACITY).0,
        }))
    }

    /// How this journal names a token.
    pub fn hash(&self, token: &Token) -> TokenHash {
        self.0.key.hash(token)
    }

    /// The events so far, the oldest first: no more than the last thousand.
    pub fn events(&self) -> Vec<ReviewEvent> {
        self.state().kept.iter().cloned().collect()
    }

    /// The events from now on.
    pub fn follow(&self) -> Events {
        Events(self.0.live.subscribe())
    }

    /// The events so far, and those from then on.
    pub fn follow_from_start(&self) -> (Vec<ReviewEvent>, Events) {
        // Written under the same lock: nothing is in both, and nothing in none.
        let state = self.state();
        (state.kept.iter().cloned().collect(), self.follow())
    }

    /// What the apiserver may still know of a token: what it was told, and for how much longer.
    pub(crate) fn remembered(&self, token: &TokenHash) -> Option<(Outcome, Duration)> {
        let state = self.state();
        let of_it = |event: &&ReviewEvent| event.token.as_ref() == Some(token);
        let last = state.asked().rev().find(of_it)?;
        let left = state.remembered(last, Timestamp::now())?;
        Some((last.outcome.clone(), left))
    }

    /// Notes that an apiserver starts that remembers nothing yet, and for so long from then on.
    pub(crate) fn apiserver_starts(&self, memory: Memory) {
        let mut state = self.state();
        state.apiserver_since = Timestamp::now();
        state.memory = memory;
    }

    /// How many reviews have no answer yet.
    pub fn running(&self) -> usize {
        self.state().running.len()
    }

    /// Notes that a review begins. It ends with [`Running::end`], or unanswered.
    pub(crate) fn begin(&self, review: &Review) -> Running {
        let when = Timestamp::now();
        // The apiserver says when it gives up (`?timeout=30s`), and hardly anybody else does.
        let patience = review
            .deadline
            .map(|deadline| deadline - tokio::time::Instant::now());
        let source = match patience {
            Some(patience) if patience < LONG_WAIT => Source::Asked,
            _ => Source::Direct,
        };
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.running.insert(id, (when, source));
        drop(state);
        Running {
            journal: self.clone(),
            id,
            when,
            start: Instant::now(),
            token: self.hash(&review.token),
            api_version: review.api_version,
            audiences: clipped(&review.audiences),
            outcome: Outcome::Unanswered,
            source,
            fault: None,
        }
    }

    /// Notes that the webhook is down from now on, or up again.
    pub(crate) fn reachable(&self, up: bool) {
        let now = Timestamp::now();
        let mut state = self.state();
        match (&mut state.outage, up) {
            (Some(outage), true) => _ = outage.until.get_or_insert(now),
            (None, true) | (Some(Outage { until: None, .. }), false) => {}
            (outage, false) => {
                *outage = Some(Outage {
                    from: now,
                    until: None,
                });
            }
        }
    }

    fn write(&self, state: &mut State, event: ReviewEvent) {
        if state.kept.len() == CAPACITY {
            state.kept.pop_front();
        }
        state.kept.push_back(event.clone());
        // An error is that nobody reads.
        let _ = self.0.live.send(event);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        (self.0.state.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Events {
    /// Waits for the next one; none when the journal is gone.
    pub async fn next(&mut self) -> Option<Next> {
        match self.0.recv().await {
            Ok(event) => Some(Next::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Next::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// A review under way. Dropped before its end, it was not answered: the caller went away, or the
/// webhook was taken down.
pub(crate) struct Running {
    journal: Journal,
    id: u64,
    when: Timestamp,
    start: Instant,
    token: TokenHash,
    api_version: ApiVersion,
    audiences: Vec<String>,
    outcome: Outcome,
    source: Source,
    fault: Option<Fault>,
}

impl Running {
    pub(crate) fn end(mut self, decision: &Decision, fault: Option<Fault>) {
        self.outcome = decision.into();
        self.fault = fault;
    }

    /// It was answered past the product.
    pub(crate) fn played(mut self, status: http::StatusCode) {
        self.outcome = Outcome::Played {
            status: status.as_u16(),
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let event = ReviewEvent {
            when: self.when,
            token: Some(self.token.clone()),
            api_version: Some(self.api_version.as_str().to_owned()),
            audiences: std::mem::take(&mut self.audiences),
            outcome: std::mem::replace(&mut self.outcome, Outcome::Unanswered),
            latency: Some(self.start.elapsed()),
            source: self.source,
            fault: self.fault,
        };
        let mut state = self.journal.state();
        state.running.remove(&self.id);
        self.journal.write(&mut state, event);
    }
}

#[cfg(test)]
mod tests;
