//! The webhook's image and its manifests: what is written, how cargo is run, and what
//! people see.

mod archive;
mod build;
mod cli;
mod manifests;
mod support;
