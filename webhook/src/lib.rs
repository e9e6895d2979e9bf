//! A Kubernetes webhook token authenticator.
//!
//! A kube-apiserver that is started with `--authentication-token-webhook-config-file` asks a
//! webhook about each bearer token that nobody else knew: it posts a `TokenReview` and expects it
//! back with a status, which names a user or does not. Implement [`Authenticator`]; [`router`]
//! speaks the protocol, [`Server`] does TLS.
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

mod authenticator;
mod decision;
mod mock;
pub mod pki;
pub mod review;
mod router;
mod server;
mod status;
mod timeout;
mod tls;
mod token;

pub use authenticator::{Authenticator, BoxAuthenticator};
pub use decision::{Decision, User};
pub use mock::Mock;
pub use review::{ApiVersion, Caller, Review};
pub use router::{BODY_LIMIT, PATH, router};
pub use server::Server;
pub use tls::{Tls, TlsError};
pub use token::Token;
