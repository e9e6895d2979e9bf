//! The webhook's image and its manifests: what is written, and how cargo is run.

mod archive;
mod build;
mod manifests;
mod support;
