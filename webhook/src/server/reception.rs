//! A connection's requests, each given to the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;

use super::activity::{Activity, Running};
use crate::Caller;
use crate::router::{self, Routes};

/// Gives each of a connection's requests to its route, with its caller.
pub(super) struct Reception {
    routes: Routes,
    caller: Caller,
    activity: Arc<Activity>,
}

impl Reception {
    pub(super) fn new(routes: Routes, caller: Caller, activity: Arc<Activity>) -> Self {
        Self {
            routes,
            caller,
            activity,
        }
    }
}

impl Service<Request<Incoming>> for Reception {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let http2 = request.version() == Version::HTTP_2;
        let running = self.activity.begin(http2);
        // Who stands in between may have gone by a `Content-Length` beside it, and what follows is
        // then not from whom it seems to be (RFC 9112, section 6.1). An apiserver does not send it.
        let last = !http2 && request.headers().contains_key(TRANSFER_ENCODING);
        let inner = self.routes.answer(request, &self.caller);
        Answer {
            inner,
            running,
            last,
        }
    }
}

pin_project! {
    /// A running request.
    pub(super) struct Answer {
        #[pin]
        inner: router::Answer,
        running: Running,
        // Whether the connection ends with it.
        last: bool,
    }
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        let activity = this.running.activity();
        // HTTP/2 says it by GOAWAY.
        if *this.last || (activity.is_stopping() && !activity.is_http2()) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Poll::Ready(Ok(response))
    }
}
