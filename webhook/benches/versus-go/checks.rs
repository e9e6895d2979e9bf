//! Whether the servers do the same: one that checks less would be faster for it.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use http::Method;
use reqwest::{Certificate, Client};

use crate::case::{Body, TARGET};
use crate::server::Server;

const JSON: Option<&str> = Some("application/json");

/// Asks all that can be asked wrongly.
pub(crate) struct Checks {
    client: Client,
}

/// A request, and in what it differs from an apiserver's.
struct Request {
    name: &'static str,
    method: Method,
    target: &'static str,
    content_type: Option<&'static str>,
    body: Vec<u8>,
}

impl Checks {
    pub(crate) fn new(authority: &[u8]) -> anyhow::Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([Certificate::from_pem(authority)?])
            .build()?;
        Ok(Self { client })
    }

    /// One review, which must be answered as a mock does.
    pub(crate) async fn review(&self, server: &Server) -> anyhow::Result<()> {
        let request = Request {
            name: "a review",
            method: Method::POST,
            target: TARGET,
            content_type: JSON,
            body: Body::Small.text().into_bytes(),
        };
        let (code, answer) = self.ask(server, &request).await?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let user = serde_json::json!({"username": "mock", "uid": "mock", "groups": ["group-mock"]});
        if code != 200
            || answer["apiVersion"] != "authentication.k8s.io/v1beta1"
            || answer["status"]["authenticated"] != true
            || answer["status"]["user"] != user
        {
            bail!("a review was answered by {code}, {answer}");
        }
        Ok(())
    }

    /// In what the two answer by different status codes, and in how many things by the same.
    pub(crate) async fn compare(&self, ours: &Server, peer: &Server) -> anyhow::Result<String> {
        let mut same = 0;
        let mut other = String::new();
        for request in requests() {
            let (our, _) = self.ask(ours, &request).await?;
            let (their, _) = self.ask(peer, &request).await?;
            if our == their {
                same += 1;
            } else {
                write!(other, "; not of {}: {our} and {their}", request.name)?;
            }
        }
        Ok(format!(
            "tokenlab and net/http say the same of {same} bad requests{other}"
        ))
    }

    async fn ask(&self, server: &Server, request: &Request) -> anyhow::Result<(u16, String)> {
        let Request {
            name,
            method,
            target,
            content_type,
            body,
        } = request;
        let mut asked = self
            .client
            .request(method.clone(), server.url(target))
            .body(body.clone());
        if let Some(content_type) = content_type {
            asked = asked.header("content-type", *content_type);
        }
        let response = asked.send().await.with_context(|| *name)?;
        Ok((response.status().as_u16(), response.text().await?))
    }
}

fn requests() -> Vec<Request> {
    let text = |text: &str| text.as_bytes().to_vec();
    let good = || Body::Small.text().into_bytes();
    let bad = |name, body| Request {
        name,
        method: Method::POST,
        target: TARGET,
        content_type: JSON,
        body,
    };
    let changed = |from: &str, to: &str| text(&Body::Small.text().replacen(from, to, 1));
    vec![
        Request {
            method: Method::GET,
            ..bad("another method", Vec::new())
        },
        Request {
            target: "/authorize",
            ..bad("another path", good())
        },
        Request {
            content_type: None,
            ..bad("no content type", good())
        },
        Request {
            content_type: Some("text/plain"),
            ..bad("another content type", good())
        },
        bad("no body", Vec::new()),
        bad("a large body", vec![b' '; 1024 * 1024 + 1]),
        bad("text", text("token")),
        bad("JSON that is cut short", good()[..200].to_vec()),
        bad("two reviews", [good(), good()].concat()),
        bad("what is not UTF-8", [&b"\xff"[..], &good()].concat()),
        bad(
            "another kind",
            changed("TokenReview", "SubjectAccessReview"),
        ),
        bad("another version", changed("v1beta1", "v2")),
        bad("no kind", changed(r#""kind":"TokenReview","#, "")),
        bad(
            "no version",
            changed(r#""apiVersion":"authentication.k8s.io/v1beta1","#, ""),
        ),
        bad(
            "an empty token",
            text(
                r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":""}}"#,
            ),
        ),
        // What encoding/json cannot look for.
        bad(
            "a token that is there twice",
            changed(r#""token":"#, r#""token":"t","token":"#),
        ),
        bad("a kind in other letters", changed("kind", "KIND")),
        bad(
            "a field of 1000 levels",
            changed(
                r#""metadata":{}"#,
                &format!(r#""more":{}{}"#, "[".repeat(1000), "]".repeat(1000)),
            ),
        ),
        bad(
            "a token that is a number",
            text(
                r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":7}}"#,
            ),
        ),
    ]
}
