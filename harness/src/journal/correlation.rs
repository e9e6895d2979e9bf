//! Which of the apiserver's requests the webhook was not asked about, and what that means.

use std::time::Duration;

use jiff::Timestamp;

use super::audit::{Request, Verdict};
use super::{Journal, Outcome, ReviewEvent, Source, State, TokenHash};

impl Journal {
    /// Notes a request of the audit log, if it is the webhook's business and the webhook was not
    /// asked about it.
    ///
    /// Whom the webhook never vouched for is none of its business. A review that ran at some
    /// time between the request's arrival and its answer may be the request's own: it is taken
    /// for that. So of two requests at once by the same user one that was not asked about can
    /// go unnoticed; none is made up.
    pub(crate) fn observe(&self, request: &Request) {
        let mut state = self.state();
        let event = match &request.verdict {
            Verdict::User { name, uid } => state.remembered_user(request, name, uid),
            Verdict::Unauthorized { by_token } => state.unauthorized(request, *by_token),
        };
        if let Some(event) = event {
            self.write(&mut state, event);
        }
    }
}

impl State {
    fn remembered_user(&self, request: &Request, name: &str, uid: &str) -> Option<ReviewEvent> {
        let mut vouched: Vec<&ReviewEvent> = self.latest();
        vouched.retain(|event| {
            matches!(&event.outcome, Outcome::Authenticated { user, uid: known, .. }
                if user == name && known == uid && event.fault.is_none())
        });
        let outcome = vouched.first()?.outcome.clone();
        // A review that has no answer yet cannot be the one of a request that has.
        if vouched
            .iter()
            .any(|event| request.overlaps(event.when, event.end()))
        {
            return None;
        }
        vouched.retain(|event| self.remembered(event, request.arrived).is_some());
        Some(request.event(only(&vouched), outcome, Source::Cached))
    }

    fn unauthorized(&self, request: &Request, by_token: bool) -> Option<ReviewEvent> {
        let asked = self.asked().any(|event| {
            let vouched = matches!(event.outcome, Outcome::Authenticated { .. });
            (!vouched || event.fault.is_some()) && request.overlaps(event.when, event.end())
        });
        // The apiserver gave up on a review that still runs here.
        let running = (self.running.values())
            .any(|&(start, source)| source == Source::Asked && start <= request.answered);
        if asked || running {
            return None;
        }
        let mut refused: Vec<&ReviewEvent> = self.latest();
        refused.retain(|event| {
            event.outcome == Outcome::Refused && self.remembered(event, request.arrived).is_some()
        });
        let down = self.outage.as_ref().is_some_and(|outage| {
            request.overlaps(outage.from, outage.until.unwrap_or(Timestamp::MAX))
        });
        Some(if refused.is_empty() || down || !by_token {
            request.event(None, Outcome::Refused, Source::NoCall)
        } else {
            request.event(only(&refused), Outcome::Refused, Source::Cached)
        })
    }

    /// How much longer than until `now` the apiserver may remember an answer.
    pub(super) fn remembered(&self, event: &ReviewEvent, now: Timestamp) -> Option<Duration> {
        let memory = match event.outcome {
            Outcome::Authenticated { .. } => self.memory.authenticated,
            Outcome::Refused => self.memory.refused,
            _ => return None,
        };
        let age = Duration::try_from(now.duration_since(event.end())).unwrap_or_default();
        let left = memory.saturating_sub(age);
        let known = event.fault.is_none() && event.when >= self.apiserver_since;
        (known && !left.is_zero()).then_some(left)
    }

    pub(super) fn asked(&self) -> impl DoubleEndedIterator<Item = &ReviewEvent> {
        let asked = |event: &&ReviewEvent| event.source == Source::Asked;
        self.kept.iter().filter(asked)
    }

    /// The last review of each token.
    fn latest(&self) -> Vec<&ReviewEvent> {
        let mut seen = std::collections::HashSet::new();
        let asked = self.asked().rev();
        asked
            .filter(|event| seen.insert(event.token.as_ref()))
            .collect()
    }
}

/// The token that these are about, if they are about one.
fn only(events: &[&ReviewEvent]) -> Option<TokenHash> {
    match events {
        [event] => event.token.clone(),
        _ => None,
    }
}

impl Request {
    fn overlaps(&self, from: Timestamp, until: Timestamp) -> bool {
        from <= self.answered && until >= self.arrived
    }

    fn event(&self, token: Option<TokenHash>, outcome: Outcome, source: Source) -> ReviewEvent {
        ReviewEvent {
            when: self.arrived,
            token,
            api_version: None,
            audiences: Vec::new(),
            outcome,
            latency: None,
            source,
            fault: None,
        }
    }
}
