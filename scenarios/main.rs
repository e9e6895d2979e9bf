//! What a real kube-apiserver does with a token webhook, as executable claims.
//!
//! Each file is a subject, each test a claim, each answer that a person would see a reviewed
//! file in `snapshots/`. The tests share control planes and stay apart by their tokens.

mod audiences;
mod audiences_reviewed;
mod authorization;
mod caching;
mod caching_crowds;
mod caching_windows;
#[allow(dead_code, reason = "until all scenarios are here")]
mod evidence;
mod failures;
mod forbidden;
mod identity;
mod identity_limits;
mod identity_system;
mod metrics;
#[allow(dead_code, reason = "until all scenarios are here")]
mod planes;
mod protocol;
mod refusal;
mod refusal_answers;
#[allow(dead_code, reason = "until all scenarios are here")]
mod serial;
mod support;
mod versions;
