//! A Kubernetes webhook token authenticator.
//!
//! A kube-apiserver that is started with `--authentication-token-webhook-config-file` asks a
//! webhook about each bearer token that nobody else knew: it posts a `TokenReview` and expects it
//! back with a status, which names a user or does not. Implement [`Authenticator`], or take one of
//! [`authenticators`]; [`router`] speaks the protocol, [`Server`] does TLS.
//!
//! ```no_run
//! use tokenlab_webhook::{Mock, Server, Tls, pki::CertificateAuthority, router};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let authority = CertificateAuthority::new("lab")?;
//! let certificate = authority.serving(&["my-authn.kube-system.svc", "127.0.0.1"])?;
//! let tls = Tls::from_certificate(&certificate)?;
//! let server = Server::bind(([127, 0, 0, 1], 0).into(), Some(tls)).await?;
//! println!("https://{}/authenticate", server.local_addr());
//! server.serve(router(Mock), std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What the apiserver makes of an answer
//!
//! - It speaks `v1beta1` unless it is told otherwise, and takes an answer in no other version than
//!   the one it asked in. [`router`] answers each in its own.
//! - [`Decision::Authenticated`] is remembered for two minutes by default, and so is
//!   [`Decision::Refused`]; a decision with an error text is not, so its token is asked about each
//!   time.
//! - To a user all that goes wrong looks the same: `401`. Test an authenticator behind a real
//!   apiserver: `tokenlab-harness` does so in five lines.
//!
//! # Features
//!
//! All but `image` are on by default. A program of yours does without: `default-features = false`.
//!
//! - `cli`: the program `tokenlab-webhook`. [`kubeconfig`] comes with it.
//! - `completion`: its subcommand of that name.
//! - `image`: the program as the image has it. No TRACE is logged by anything that is linked with it.
//! - `ldap`: the authenticator that asks an LDAP directory, [`authenticators::ldap`].
//! - `manifests`: what deploys the program into a cluster, [`manifests`], and the subcommand of that
//!   name; [`kubeconfig`] comes with it.

/// Its examples are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod authenticator;
pub mod authenticators;
mod decision;
pub mod duration;
mod health;
mod hex;
mod keyed_hash;
#[cfg(any(feature = "cli", feature = "manifests"))]
pub mod kubeconfig;
#[cfg(feature = "manifests")]
pub mod manifests;
mod metrics;
mod mock;
mod panics;
pub mod pki;
pub mod reload;
pub mod review;
mod router;
mod server;
mod status;
mod timeout;
mod tls;
mod token;

pub use authenticator::{Authenticator, BoxAuthenticator};
pub use decision::{Decision, User};
pub use health::{Health, health_router};
pub use metrics::Metrics;
pub use mock::Mock;
pub use panics::log_panics;
pub use review::{ApiVersion, Caller, Review};
pub use router::{BODY_LIMIT, Ended, Observer, Outcome, PATH, RouterBuilder, Routes, router};
pub use server::{ConnectionObserver, Handshake, Limits, Protocol, Server};
pub use tls::{Tls, TlsBuilder, TlsError, TlsFiles, TlsFilesError, TlsReload};
pub use token::Token;
