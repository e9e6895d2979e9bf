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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::User;

    /// Knows `good` and cannot tell about `unknown`. Counts.
    #[derive(Clone, Default)]
    struct Backend(Arc<AtomicUsize>);

    impl Authenticator for Backend {
        async fn authenticate(&self, review: &Review) -> Decision {
            self.0.fetch_add(1, Ordering::Relaxed);
            match review.token.expose() {
                "good" => Decision::authenticated(User::new("ann")),
                "unknown" => Decision::Undecided {
                    reason: "down".to_owned(),
                },
                _ => Decision::Refused,
            }
        }
    }

    fn limits(capacity: usize) -> CacheLimits {
        let capacity = NonZeroUsize::new(capacity).expect("not 0");
        CacheLimits::new(capacity, Duration::from_secs(3600))
    }

    /// How often the backend is asked about these tokens, one after the other.
    async fn asked(config: &CacheConfig, tokens: &[&str]) -> usize {
        let backend = Backend::default();
        let cached = Cached::new(backend.clone(), config);
        for token in tokens {
            let review = Review::new(*token);
            let expected = Backend::default().authenticate(&review).await;
            assert_eq!(cached.authenticate(&review).await, expected, "{token}");
        }
        backend.0.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn each_kind_is_remembered_where_that_is_asked_for() {
        let tokens = ["good", "bad", "good", "bad", "unknown", "unknown"];
        let off = CacheConfig::default();
        assert_eq!(asked(&off, &tokens).await, 6);
        let positive = off.clone().with_positive(limits(8));
        assert_eq!(asked(&positive, &tokens).await, 5);
        let negative = off.with_negative(limits(8));
        assert_eq!(asked(&negative, &tokens).await, 5);
        assert_eq!(asked(&negative.with_positive(limits(8)), &tokens).await, 4);
    }

    #[tokio::test]
    async fn made_up_tokens_displace_no_good_one() {
        let config = CacheConfig::default();
        let config = config.with_positive(limits(1)).with_negative(limits(2));
        assert_eq!(asked(&config, &["good", "a", "b", "c", "good"]).await, 4);
        assert_eq!(asked(&config, &["a", "b", "a", "c", "a", "b"]).await, 4);
    }

    #[tokio::test]
    async fn audiences_are_apart() {
        let backend = Backend::default();
        let config = CacheConfig::default().with_positive(limits(8));
        let cached = Cached::new(backend.clone(), &config);
        for audiences in [&["a", "b"][..], &["ab"], &[], &["a", "b"]] {
            let review = Review::new("good").with_audiences(audiences.iter().copied());
            cached.authenticate(&review).await;
        }
        assert_eq!(backend.0.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_decision_holds_for_its_time_used_or_not() {
        let store = Store::new(limits(8));
        let start = Instant::now();
        let late = start + store.ttl;
        let early = late.checked_sub(Duration::from_nanos(1)).expect("later");
        store.put([1; 32], Decision::Refused, start);
        assert_eq!(store.get(&[1; 32], early), Some(Decision::Refused));
        assert_eq!(store.get(&[1; 32], late), None);
        assert_eq!(store.get(&[1; 32], early), None, "it is gone");
        assert_eq!(store.get(&[2; 32], early), None);
    }

    #[test]
    fn settings() {
        let config = |json| serde_json::from_str::<CacheConfig>(json);
        let text = r#"{"negative": {"capacity": 8, "ttl": "1h"}}"#;
        let negative = CacheConfig::default().with_negative(limits(8));
        assert_eq!(config(text).expect("settings"), negative);
        assert_eq!(config("{}").expect("settings"), CacheConfig::default());
        let wrong = |json| config(json).expect_err("wrong").to_string();
        let text = wrong(r#"{"negative": {"capacity": 8, "ttl": "1 hour"}}"#);
        assert!(text.contains("`1 hour` is no duration"), "{text}");
        let text = wrong(r#"{"negative": {"capacity": 0, "ttl": "1h"}}"#);
        assert!(text.contains("nonzero"), "{text}");
        assert!(wrong(r#"{"ttl": "1h"}"#).contains("unknown field `ttl`"));
    }
}
