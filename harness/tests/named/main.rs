//! Labs with names, by the real program: started, listed, asked, ended, and what is left of one
//! whose owner is gone. They find processes by `/proc`.
#![cfg(target_os = "linux")]

mod cluster;
mod doctor;
mod foreign;
mod life;
mod names;
mod outlives;
mod stale;
mod strays;
mod supervisor;
mod support;
mod users;
mod uses;
mod webhook;

#[path = "../lab/filters.rs"]
#[expect(unused_macros, unused_imports, reason = "there are more filters here")]
mod filters;
#[path = "../lab/home.rs"]
#[expect(dead_code, reason = "some of it is for the tests of other owners")]
mod home;
#[path = "../lab/owner.rs"]
#[expect(dead_code, reason = "some of it is for the tests of other owners")]
mod owner;
#[path = "../lab/webhooks/peer.rs"]
mod peer;
#[path = "../lab/programs.rs"]
#[expect(dead_code, reason = "some of it is for the tests of other owners")]
mod programs;
#[path = "../lab/webhooks/serving.rs"]
mod serving;
#[path = "../lab/skipped.rs"]
mod skipped;
