//! What a real kube-apiserver does with a token webhook, as executable claims.
//!
//! Each file is a subject, each test a claim, each answer that a person would see a reviewed
//! file in `snapshots/`. The tests share control planes and stay apart by their tokens.

mod audiences;
mod audiences_reviewed;
mod audit;
mod authorization;
mod by_files;
mod certificates;
mod connect_proxy;
#[allow(dead_code, reason = "until all scenarios are here")]
mod evidence;
mod failures;
mod forbidden;
mod identity;
mod issuer;
mod jwt;
mod oidc;
mod old_proxy;
#[allow(dead_code, reason = "until all scenarios are here")]
mod planes;
mod protocol;
mod proxy;
mod reached;
mod refusal;
mod rewired;
mod rotation;
#[allow(dead_code, reason = "until all scenarios are here")]
mod serial;
mod support;
mod tls;
