//! The webhook that is looked at: what it is asked, and what it answers.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode, Version};
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokenlab_webhook::{ApiVersion, Token};

use super::{Checks, Not};
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::webhook::{PostError, Way, answer, tls_of};

/// A webhook, and what is known of it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) config: Kubeconfig,
    pub(super) known: Option<Token>,
    pub(super) unknown: Token,
    pub(super) audiences: Vec<String>,
    pub(super) patience: Duration,
    slowest: Mutex<Duration>,
}

/// Times one answer, to whatever end it comes.
struct Timed<'a> {
    slowest: &'a Mutex<Duration>,
    began: Instant,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = self.began.elapsed().max(*slowest);
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    /// What comes behind the URL's own path.
    pub(super) below: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// Its answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) content_type: String,
    pub(super) body: String,
}

/// An answer that kube-apiserver can read.
#[derive(Debug)]
pub(super) struct Readable(pub(super) Value);

impl Question {
    /// One with this body, as the apiserver posts it.
    pub(super) fn of(body: &(impl ToString + ?Sized)) -> Self {
        Self {
            method: Method::POST,
            below: "",
            content_type: "application/json",
            body: body.to_string(),
        }
    }
}

impl Subject {
    pub(super) fn new(checks: Checks) -> Self {
        let Checks {
            config,
            known,
            unknown,
            audiences,
            patience,
        } = checks;
        Self {
            config,
            known,
            unknown,
            audiences,
            patience,
            slowest: Mutex::default(),
        }
    }

    /// The same webhook, for who shows nothing.
    pub(super) fn to_anybody(&self) -> Self {
        let config = Kubeconfig {
            identity: Identity::Anonymous,
            ..self.config.clone()
        };
        Self::new(Checks::against(&config))
    }

    /// How long the slowest answer took, of all to questions that kube-apiserver could ask.
    pub(super) fn slowest(&self) -> Duration {
        *self.slowest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that it knows.
    pub(super) fn known(&self) -> Result<&Token, Not> {
        let known = self.known.as_ref();
        known.ok_or_else(|| Not::Made("no token that it knows was given".to_owned()))
    }

    /// The token that it knows, if there is one, or the other.
    pub(super) fn any(&self) -> &Token {
        self.known.as_ref().unwrap_or(&self.unknown)
    }

    /// A TokenReview as the apiserver's client writes it.
    pub(super) fn review(&self, version: ApiVersion, token: &Token) -> Value {
        let mut review = json!({
            "kind": "TokenReview",
            "apiVersion": version.as_str(),
            "metadata": {},
            "spec": {"token": token.expose()},
            "status": {"user": {}},
        });
        if !self.audiences.is_empty() {
            review["spec"]["audiences"] = json!(self.audiences);
        }
        review
    }

    /// Whose the token is, in the version that the apiserver speaks by default.
    pub(super) async fn whose(&self, token: &Token) -> Result<Readable, Not> {
        let review = self.review(ApiVersion::V1Beta1, token);
        self.ask(&Question::of(&review)).await?.review()
    }

    /// A way to it by the protocols that the apiserver offers, or by this one alone.
    pub(super) async fn way(&self, protocol: Option<&[u8]>) -> Result<Way, PostError> {
        let mut tls = tls_of(&self.config)?;
        if let Some(protocol) = protocol {
            tls.alpn_protocols = vec![protocol.to_vec()];
        }
        Way::open(&self.config, tls).await
    }

    /// Asks what kube-apiserver could ask.
    pub(super) async fn ask(&self, question: &Question) -> Result<Reply, PostError> {
        self.ask_by(&self.way(None).await?, question).await
    }

    /// The same by a way that is open.
    pub(super) async fn ask_by(&self, way: &Way, question: &Question) -> Result<Reply, PostError> {
        let _timed = Timed {
            slowest: &self.slowest,
            began: Instant::now(),
        };
        way.ask(question).await
    }
}

impl Way {
    pub(super) async fn ask(&self, question: &Question) -> Result<Reply, PostError> {
        let mut url = self.url.clone();
        if !question.below.is_empty() {
            // That of a URL without a path is `/`.
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&(path + question.below));
        }
        url.set_query(Some("timeout=30s"));
        let request = self
            .request(question.method.clone(), url)
            .header(CONTENT_TYPE, question.content_type)
            // Each check has one of its own.
            .timeout(Duration::from_secs(24 * 60 * 60))
            .body(question.body.clone());
        let (head, body) = answer(request).await?;
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(Reply {
            status: head.status,
            version: head.version,
            content_type: content_type.unwrap_or_default().into_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

impl Reply {
    /// What the apiserver reads in it: of another status than 2xx nothing, and JSON, whatever the
    /// header says.
    pub(super) fn review(&self) -> Result<Readable, Not> {
        if !self.status.is_success() {
            return Err(Not::But(format!("the HTTP status is {}", self.status)));
        }
        match serde_json::from_str::<Value>(&self.body) {
            Ok(body) if body.is_object() => match misfit(&body["status"]) {
                None => Ok(Readable(body)),
                Some(field) => Err(Not::But(format!("`{field}` is of another type"))),
            },
            // It is not shown: what repeats the token may write it in other ways than it is looked
            // for.
            _ => Err(Not::But("the body is no JSON object".to_owned())),
        }
    }
}

/// Where a status is not what a TokenReview's is. It is not shown, either.
fn misfit(status: &Value) -> Option<String> {
    let fits = |status: &Value| Option::<TokenReviewStatus>::deserialize(status).is_ok();
    if fits(status) {
        return None;
    }
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let user = fields(&status["user"]).into_iter();
    let user = user.map(|(name, value)| {
        (
            format!("status.user.{name}"),
            json!({"user": {name: value}}),
        )
    });
    let whole = fields(status).into_iter();
    let whole = whole.map(|(name, value)| (format!("status.{name}"), json!({name: value})));
    let wrong = user.chain(whole).find(|(_, part)| !fits(part));
    Some(wrong.map_or("status".to_owned(), |(name, _)| name))
}

impl Readable {
    pub(super) fn status(&self) -> &Value {
        &self.0["status"]
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.status()["authenticated"] == true
    }

    /// A field of the status that is a text; empty where there is none.
    pub(super) fn text(&self, field: &str) -> &str {
        self.status()[field].as_str().unwrap_or_default()
    }

    pub(super) fn audiences(&self) -> Vec<&str> {
        let audiences = self.status()["audiences"].as_array();
        let audiences = audiences.into_iter().flatten();
        audiences.filter_map(Value::as_str).collect()
    }

    /// Its word on a token that it does not know.
    pub(super) fn refusal(&self) -> Result<&Self, Not> {
        if self.is_authenticated() {
            return Err(Not::But("it authenticates the token".to_owned()));
        }
        Ok(self)
    }

    /// Its word on a token that it knows.
    pub(super) fn authenticated(&self) -> Result<&Self, Not> {
        if self.is_authenticated() {
            return Ok(self);
        }
        let but = match self.text("error") {
            "" => "it refuses the token".to_owned(),
            error => format!("its `status.error` is {}", quoted(error)),
        };
        Err(Not::But(but))
    }
}

/// A foreign text, on one line.
pub(super) fn quoted(text: &str) -> String {
    match text {
        "" => "empty".to_owned(),
        text => format!("`{}`", text.escape_debug()),
    }
}
