//! The webhook's objects in a cluster are the product's own; a container of somebody else's is told
//! what a lab tells.

mod foreign;

pub use foreign::ForeignContainer;
pub use tokenlab_webhook::manifests::{LABEL, Manifests};
pub(crate) use tokenlab_webhook::manifests::{LABEL_VALUE, RUN};
