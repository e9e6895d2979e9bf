//! A Kubernetes webhook token authenticator.

pub mod pki;
