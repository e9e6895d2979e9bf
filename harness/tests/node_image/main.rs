//! Node images, and Docker as `tokenlab` meets it: what is told when something is missing, before
//! anything is started; images listed and removed; and, where `LAB_BACKEND=kind` allows
//! containers, a build that is cached and one that is killed.
//!
//! Engines that refuse, are old or full cannot be had for a test: there, a script says what the
//! real programs say.
#![cfg(target_os = "linux")]

mod images;
mod kit;
mod lacking;
mod real;
#[path = "../lab/skipped.rs"]
#[expect(dead_code, reason = "which programs there are is asked elsewhere")]
mod skipped;
#[path = "../../src/stand_in.rs"]
mod stand_in;
mod world;
