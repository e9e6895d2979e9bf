//! Real Kubernetes control planes for tests of webhook token authentication.

pub mod assets;
pub mod progress;
