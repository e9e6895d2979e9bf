//! The webhook's image and its manifests: what is written, how cargo is run, what people see;
//! and, where a container engine may be used, that it runs.

mod archive;
mod build;
mod cli;
mod container;
mod engine;
mod manifests;
#[path = "../lab/skipped.rs"]
#[expect(dead_code, reason = "which programs there are is asked elsewhere")]
mod skipped;
#[path = "../../src/stand_in.rs"]
mod stand_in;
mod support;
