//! What a real kube-apiserver does with a token webhook, as executable claims.
//!
//! Each file is a subject, each test a claim, each answer that a person would see a reviewed
//! file in `snapshots/`. The tests share control planes and stay apart by their tokens.

mod authorization;
mod catalogue;
mod forbidden;
mod identity;
mod protocol;
mod refusal;
mod support;
