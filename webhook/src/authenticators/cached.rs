//! Decisions that are remembered.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use serde::Deserialize;
use tokio::time::Instant;

use crate::keyed_hash::{Digest, KeyedHash};
use crate::{Authenticator, Decision, Review, duration};

/// What a cache remembers. By default: nothing.
///
/// The apiserver remembers for 2 minutes already; what is remembered here adds to that, and so to
/// how long a revoked token lives. It helps where several apiservers ask, or where they are told to
/// remember nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct CacheConfig {
    /// For good tokens. None: they are asked about each time.
    pub positive: Option<CacheLimits>,
    /// For refused ones. Apart from the good ones, so that a flood of made-up tokens displaces
    /// no good one. None: they are asked about each time.
    pub negative: Option<CacheLimits>,
}

impl CacheConfig {
    /// The same with good tokens remembered within `limits`.
    #[must_use]
    pub fn with_positive(mut self, limits: CacheLimits) -> Self {
        self.positive = Some(limits);
        self
    }

    /// The same with refused tokens remembered within `limits`.
    #[must_use]
    pub fn with_negative(mut self, limits: CacheLimits) -> Self {
        self.negative = Some(limits);
        self
    }
}

/// How many decisions are remembered, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct CacheLimits {
    /// The most tokens that are remembered; then the one that was not used for longest goes.
    pub capacity: NonZeroUsize,
    /// How long one is remembered from when it was asked about, used or not.
    #[serde(deserialize_with = "duration::deserialize")]
    pub ttl: Duration,
}

impl CacheLimits {
    /// At most `capacity` tokens for at most `ttl`.
    #[must_use]
    pub fn new(capacity: NonZeroUsize, ttl: Duration) -> Self {
        Self { capacity, ttl }
    }
}

/// Remembers what an authenticator decided about a token.
///
/// A decision is remembered for its token and audiences together; who asks and in which version
/// must make no difference to the authenticator. Only good and refused tokens are remembered. A
/// token is known by a hash under a key that was drawn at the start: the memory holds none.
///
/// Reviews that come while the first of their token is on its way are asked about, too.
pub struct Cached<A> {
    inner: A,
    hash: KeyedHash,
    positive: Option<Store>,
    negative: Option<Store>,
}

impl<A: Authenticator> Cached<A> {
    /// Remembers what `inner` decides as `config` says.
    pub fn new(inner: A, config: &CacheConfig) -> Self {
        Self {
            inner,
            hash: KeyedHash::new(),
            positive: config.positive.map(Store::new),
            negative: config.negative.map(Store::new),
        }
    }
}

impl<A: Authenticator> Authenticator for Cached<A> {
    async fn authenticate(&self, review: &Review) -> Decision {
        let token = [review.token.expose()].into_iter();
        let parts = token.chain(review.audiences.iter().map(String::as_str));
        let digest = self.hash.of(parts.map(str::as_bytes));
        let now = Instant::now();
        let remembered = [&self.positive, &self.negative]
            .into_iter()
            .flatten()
            .find_map(|store| store.get(&digest, now));
        if let Some(decision) = remembered {
            return decision;
        }
        let decision = self.inner.authenticate(review).await;
        let store = match &decision {
            Decision::Authenticated { .. } => &self.positive,
            Decision::Refused => &self.negative,
            _ => &None,
        };
        if let Some(store) = store {
            store.put(digest, decision.clone(), now);
        }
        decision
    }
}

impl<A: fmt::Debug> fmt::Debug for Cached<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Decisions with the time until which they hold.
struct Store {
    ttl: Duration,
    decisions: Mutex<LruCache<Digest, (Instant, Decision)>>,
}

impl Store {
    fn new(limits: CacheLimits) -> Self {
        // `LruCache::new` takes the memory for all of it at once.
        let mut decisions = LruCache::unbounded();
        decisions.resize(limits.capacity);
        Self {
            ttl: limits.ttl,
            decisions: Mutex::new(decisions),
        }
    }

    fn get(&self, digest: &Digest, now: Instant) -> Option<Decision> {
        let mut decisions = self.lock();
        let (until, decision) = decisions.get(digest)?;
        if now < *until {
            return Some(decision.clone());
        }
        decisions.pop(digest);
        None
    }

    fn put(&self, digest: Digest, decision: Decision, now: Instant) {
        if let Some(until) = now.checked_add(self.ttl) {
            self.lock().put(digest, (until, decision));
        }
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, LruCache<Digest, (Instant, Decision)>> {
        self.decisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
