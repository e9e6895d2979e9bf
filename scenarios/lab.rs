//! What the scenarios stand on: planes, one request with all that there is to see of it, and whoever may
//! stand between kube-apiserver and its webhook, or be wrong.

pub(crate) mod account;
pub(crate) mod attempts;
pub(crate) mod authenticators;
pub(crate) mod certificates;
pub(crate) mod connect_proxy;
pub(crate) mod counters;
pub(crate) mod evidence;
pub(crate) mod failing;
pub(crate) mod file_plane;
pub(crate) mod identities;
pub(crate) mod issuer;
pub(crate) mod jwt;
pub(crate) mod old_proxy;
pub(crate) mod planes;
pub(crate) mod rewiring;
pub(crate) mod serial;
pub(crate) mod tls_client;
pub(crate) mod web_socket;
pub(crate) mod webhook_file;
