//! What a real kube-apiserver does with a token webhook, as executable claims.
//!
//! Each file is a subject, each test a claim, each answer that a person would see a reviewed
//! file in `snapshots/`. The tests share control planes and stay apart by their tokens.

mod audiences;
mod audiences_reviewed;
mod audit;
mod authorization;
mod caching;
mod caching_crowds;
mod caching_windows;
mod catalogue;
mod chain;
mod clients;
mod configuration;
mod connections;
mod failures;
mod forbidden;
mod identity;
mod identity_limits;
mod identity_system;
mod lab;
mod metrics;
mod oidc;
mod outage;
mod protocol;
mod proxy;
mod redirects;
mod refusal;
mod refusal_answers;
mod retries;
mod rotation;
mod service_accounts;
mod support;
mod tls;
mod versions;
mod wiring;
