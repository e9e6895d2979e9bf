//! What a real kube-apiserver does with a token webhook, as executable claims.
//!
//! Each file is a subject, each test a claim, each answer that a person would see a reviewed
//! file in `snapshots/`. The tests share control planes and stay apart by their tokens.

mod audiences;
mod audiences_reviewed;
mod authorization;
mod chain;
mod chained;
mod clients;
mod configuration;
mod forbidden;
mod identity;
mod issuer;
mod jwt;
mod oidc;
mod old_proxy;
#[allow(dead_code, reason = "until all scenarios are here")]
mod planes;
mod protocol;
mod reached;
mod redirects;
mod refusal;
mod service_accounts;
mod support;
mod tls_client;
mod web_socket;
mod webhook_file;
mod whoami;
mod wiring;
