//! What a server answers.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either};
use http::{Method, Request};
use hyper::body::Incoming;
use tower::Service as _;

use super::PATH;
use super::webhook::{self, Webhook};
use crate::Caller;

/// What a [`Server`](crate::Server) answers: any [`Router`], or what a
/// [`RouterBuilder`](crate::RouterBuilder) would make one of.
///
/// Of the latter it gives reviews to the webhook itself. By axum's routes they take a twentieth more
/// of the processor's time, for what others need of them: parameters in the path, extensions,
/// layers.
#[derive(Clone)]
pub struct Routes {
    pub(super) router: Router,
    pub(super) webhook: Option<Arc<Webhook>>,
}

/// A running request.
pub(crate) type Answer =
    Either<BoxFuture<'static, Result<Response, Infallible>>, RouteFuture<Infallible>>;

impl Routes {
    pub(crate) fn answer(&self, mut request: Request<Incoming>, caller: &Caller) -> Answer {
        let webhook = (self.webhook.as_ref())
            .filter(|_| request.method() == Method::POST && request.uri().path() == PATH);
        let Some(webhook) = webhook else {
            request.extensions_mut().insert(caller.clone());
            // A router is always ready.
            return Either::Right(self.router.clone().call(request));
        };
        let request = request.map(Body::new);
        let answer = webhook::answer(Arc::clone(webhook), request, Some(caller.clone()));
        Either::Left(answer.map(Ok).boxed())
    }
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self {
            router,
            webhook: None,
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mock, RouterBuilder};

    #[test]
    fn a_builder_has_its_own_way() {
        let own = RouterBuilder::new(Mock);
        assert!(Routes::from(own).webhook.is_some());
        let axums = RouterBuilder::new(Mock).build();
        assert!(Routes::from(axums).webhook.is_none());
    }
}
