//! One request, and all that there is to see of it: what the user gets, what the webhook was asked,
//! what the apiserver logged. An assertion that fails shows all of that.

use std::convert::Infallible;
use std::fmt;
use std::time::{Duration, Instant};

use http::{Method, Request};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use tokenlab_harness::{Call, Lab, LogMark, Poll, Probe, Scripted, Unauthenticated, until};
use tokenlab_webhook::Token;

use crate::lab::counters::{Counters, Grown};

/// All that the apiserver gives the webhook, for all attempts together
/// (`apiserver/pkg/authentication/token/cache/cached_token_authenticator.go`, `sharedLookupTimeout`,
/// v0.37.2).
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What came of one request under a token.
#[derive(Clone)]
#[must_use]
pub(crate) struct Asked {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What a refusal says.
    pub(crate) message: String,
    /// Who the user is, where that was asked.
    pub(crate) user: Option<UserInfo>,
    /// From the request to its answer.
    pub(crate) took: Duration,
    /// What the webhook was asked about the token in that time.
    pub(crate) calls: Vec<Call>,
    /// What the apiserver logged in that time: of other requests, too, where it is shared.
    pub(crate) log: String,
    /// What it counted in that time, where that was looked at.
    pub(crate) grown: Grown,
}

impl Asked {
    /// Lists namespaces under this token.
    pub(crate) async fn new(lab: &Lab, scripted: &Scripted, token: &Token) -> Self {
        let list = Request::get("/api/v1/namespaces?limit=1").body(Vec::new());
        Self::by(lab, scripted, token, list.expect("is one")).await
    }

    /// The same, and what the apiserver counts meanwhile: of others too, so not on a shared one.
    pub(crate) async fn counted(lab: &Lab, scripted: &Scripted, token: &Token) -> Self {
        let before = Counters::at_rest(lab).await;
        let seen = Self::new(lab, scripted, token).await;
        Self {
            grown: Counters::of(lab).await.since(&before),
            ..seen
        }
    }

    /// Asks the apiserver who shows this token.
    pub(crate) async fn whoami(lab: &Lab, scripted: &Scripted, token: &Token) -> Self {
        Self::by(lab, scripted, token, who_am_i()).await
    }

    /// Makes any request under this token.
    pub(crate) async fn by(
        lab: &Lab,
        scripted: &Scripted,
        token: &Token,
        request: Request<Vec<u8>>,
    ) -> Self {
        let client = lab.client_as(token).await.expect("must be made");
        Self::through(client, lab, scripted, token, request).await
    }

    /// Makes any request by any client, and looks what becomes of this token.
    pub(crate) async fn through(
        client: kube::Client,
        lab: &Lab,
        scripted: &Scripted,
        token: &Token,
        request: Request<Vec<u8>>,
    ) -> Self {
        let log = lab.control_plane().logs().join("kube-apiserver.log");
        let mark = LogMark::end_of(&log).expect("must be there");
        let before = scripted.calls(token).len();
        let start = Instant::now();
        let answer = client.request_text(request).await;
        let took = start.elapsed();
        let (status, message, user) = match answer {
            Ok(text) => {
                let review = serde_json::from_str::<SelfSubjectReview>(&text).ok();
                let status = review.and_then(|review| review.status);
                (
                    200,
                    String::new(),
                    status.and_then(|status| status.user_info),
                )
            }
            Err(kube::Error::Api(status)) => (status.code, status.message.clone(), None),
            Err(error) => panic!("the apiserver must answer: {error:?}"),
        };
        Self {
            status,
            message,
            user,
            took,
            calls: scripted.calls(token).split_off(before),
            log: mark.since().expect("must be read"),
            grown: Grown::default(),
        }
    }

    /// 401: nobody knows the user.
    #[track_caller]
    pub(crate) fn unauthorized(self) -> Self {
        assert_eq!(self.status, 401, "must be unauthorized: {self}");
        self
    }

    /// 403 for this user, who may do nothing.
    #[track_caller]
    pub(crate) fn forbidden(self, user: &str) -> Self {
        let named = self.message.contains(&format!("User \"{user}\" cannot"));
        assert!(
            self.status == 403 && named,
            "must be {user}, forbidden: {self}"
        );
        self
    }

    /// Somebody, and this is who.
    #[track_caller]
    pub(crate) fn known_as(self, user: &str) -> Self {
        let name = self.user.as_ref().and_then(|user| user.username.as_deref());
        assert_eq!(name, Some(user), "{self}");
        self
    }

    /// So often was the webhook asked about the token.
    #[track_caller]
    pub(crate) fn asked(self, times: usize) -> Self {
        assert_eq!(self.calls.len(), times, "calls of the webhook: {self}");
        self
    }

    /// The user took so long to know, or longer.
    #[track_caller]
    pub(crate) fn took_at_least(self, least: Duration) -> Self {
        assert!(self.took >= least, "must take {least:?}: {self}");
        self
    }

    /// Why, by the apiserver's log: all that was logged in that time, in order.
    pub(crate) fn causes(&self) -> Vec<Unauthenticated> {
        Unauthenticated::in_log(&self.log)
    }
}

/// The request that asks the apiserver who makes it.
pub(crate) fn who_am_i() -> Request<Vec<u8>> {
    let review = serde_json::json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
    });
    Request::builder()
        .method(Method::POST)
        .uri("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("content-type", "application/json")
        .body(review.to_string().into_bytes())
        .expect("is one")
}

/// Waits until the webhook has been asked about each of these tokens.
pub(crate) async fn called(scripted: &Scripted, tokens: &[Token]) {
    let poll = Poll {
        every: Duration::from_millis(5),
        within: Duration::from_secs(25),
    };
    let called = until("the webhook is asked about all", poll, async || {
        let asked = |token: &&Token| !scripted.calls(token).is_empty();
        match tokens.iter().filter(asked).count() {
            all if all == tokens.len() => Probe::<_, Infallible>::Ready(()),
            some => Probe::NotYet(format!("{some} of {}", tokens.len()).into()),
        }
    });
    called.await.expect("must be asked");
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, took, .. } = self;
        writeln!(f, "{status} after {took:?}: {}", self.message)?;
        if let Some(user) = &self.user {
            writeln!(f, "the user: {user:?}")?;
        }
        writeln!(f, "the webhook was asked {} times", self.calls.len())?;
        for call in &self.calls {
            writeln!(
                f,
                "  {:?} for {:?}: {:?}",
                call.api_version, call.audiences, call.act
            )?;
        }
        for (series, by) in self
            .grown
            .of("authentic")
            .into_iter()
            .chain(self.grown.of("rest_"))
        {
            writeln!(f, "{series} +{by}")?;
        }
        for found in self.causes() {
            match found.cause {
                Some(cause) => writeln!(f, "cause: {cause}")?,
                None => writeln!(f, "no cause is known for: {}", found.error)?,
            }
        }
        write!(f, "the apiserver's log:\n{}", self.log)
    }
}
