//! The protocol over HTTP.

mod body;
mod builder;
mod exchange;
mod guard;
mod log;
mod media_type;
mod observer;
mod routes;
mod webhook;

use axum::Router;

use crate::Authenticator;

pub use builder::RouterBuilder;
pub use observer::{Ended, Observer, Outcome};
pub(crate) use routes::Answer;
pub use routes::Routes;
#[cfg(all(test, feature = "manifests"))]
pub(crate) use {body::TOGETHER as BODIES_TOGETHER, builder::MAX_IN_FLIGHT};

/// Where reviews are sent: the path in the apiserver's webhook kubeconfig.
pub const PATH: &str = "/authenticate";

/// The largest body that is read: 1 MiB. The apiserver takes headers up to that size before it
/// knows the user (`apiserver/pkg/server/secure_serving.go`, v0.37.2), and so tokens.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The routes of a webhook: `POST /authenticate` takes a `TokenReview`, `GET /livez` says `ok`.
///
/// A review that was understood and decided is answered with 200. The rest has a `metav1.Status`
/// as its body: 404, 405 (with `Allow`), 408, 413 (above [`BODY_LIMIT`]), 415 (not
/// `application/json`) and 400 for what is no review; 429, 500 and 503 where an authenticator
/// fails. [`RouterBuilder`] has the settings.
///
/// It can be nested, layered or served by anything that serves axum; [`Server`](crate::Server)
/// says who called, too, and answers reviews for less if it is given a [`RouterBuilder`].
pub fn router<A: Authenticator>(authenticator: A) -> Router {
    RouterBuilder::new(authenticator).build()
}
