//! A review through the apiserver, and without it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Lab, SERVICE_NAME, Scripted};
use tokenlab_webhook::{Decision, Token, User};

use crate::sample::Sample;
use crate::table::Table;

/// The apiserver answers with who it took the caller for: it must authenticate, its answer proves
/// that it did, and nothing is read from or written to etcd.
const REVIEW_PATH: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEW: &str = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
const USER: &str = "bench";

/// How many requests of each kind come before the first that counts.
const UNCOUNTED: usize = 30;
/// A new apiserver still builds documents and caches for a while after it is ready.
const SETTLE: Duration = Duration::from_secs(5);

/// Adds the rows.
pub(crate) async fn measure(
    wanted: &Wanted,
    requests: usize,
    progress: &Progress,
    table: &mut Table<4>,
) -> anyhow::Result<()> {
    let webhook = Scripted::new();
    let builder = Lab::builder()
        .kubernetes(wanted.clone())
        .authenticator(webhook.clone());
    let lab = Box::pin(builder.start()).await?;
    let title = format!("reviews: {requests} of each kind");
    let measured = async {
        tokio::time::sleep(SETTLE).await;
        Requests::new(&lab, webhook)?.measure(requests).await
    };
    let measured = progress.step(&title, measured).await;
    lab.stop().await;
    let Samples { cold, warm, direct } = measured?;
    for (what, sample) in [
        ("request with a token that is new to the apiserver", cold),
        ("request with a token in the apiserver's cache", warm),
        ("review posted to the webhook directly", direct),
    ] {
        table.row([
            what.to_owned(),
            sample.latency(),
            String::new(),
            String::new(),
        ]);
    }
    Ok(())
}

#[derive(Default)]
struct Samples {
    cold: Sample,
    warm: Sample,
    direct: Sample,
}

/// Clients that keep their connection: HTTP/2, so that one is enough for all requests.
struct Requests {
    script: Scripted,
    apiserver: reqwest::Client,
    apiserver_url: String,
    webhook: reqwest::Client,
    webhook_url: String,
}

impl Requests {
    fn new(lab: &Lab, script: Scripted) -> anyhow::Result<Self> {
        let client = |authority: &str| -> anyhow::Result<reqwest::ClientBuilder> {
            let authority = reqwest::Certificate::from_pem(authority.as_bytes())?;
            Ok(reqwest::Client::builder()
                .tls_certs_only([authority])
                .no_proxy())
        };
        let admin = lab.control_plane().admin();
        let url = url::Url::parse(&lab.webhook().url())?;
        let port = url.port().context("the webhook's URL has no port")?;
        Ok(Self {
            script,
            apiserver: client(&admin.certificate_authority)?.build()?,
            apiserver_url: format!("{}{REVIEW_PATH}", admin.server),
            webhook: client(lab.webhook().certificate_authority())?
                .resolve(SERVICE_NAME, (Ipv4Addr::LOCALHOST, port).into())
                .build()?,
            webhook_url: format!("https://{SERVICE_NAME}:{port}/authenticate?timeout=30s"),
        })
    }

    /// The three kinds in turns, one request at a time; then looks into the webhook's record, how
    /// often it was asked.
    async fn measure(&self, requests: usize) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        let known = self.token();
        let mut fresh = Vec::new();
        for number in 0..UNCOUNTED + requests {
            let token = self.token();
            let cold = self.through_apiserver(&token).await?;
            let warm = self.through_apiserver(&known).await?;
            let direct = self.directly(&self.token()).await?;
            fresh.push(token);
            if number >= UNCOUNTED {
                samples.cold.add(cold);
                samples.warm.add(warm);
                samples.direct.add(direct);
            }
        }
        for token in fresh.iter().chain([&known]) {
            let calls = self.script.calls(token).len();
            ensure!(calls == 1, "the webhook was asked {calls} times, not once");
        }
        Ok(samples)
    }

    fn token(&self) -> Token {
        let user = User::new(USER).with_group("group-bench");
        self.script.token(Decision::authenticated(user))
    }

    async fn through_apiserver(&self, token: &Token) -> anyhow::Result<Duration> {
        let request = self
            .apiserver
            .post(&self.apiserver_url)
            .bearer_auth(token.expose())
            .body(REVIEW);
        timed(request, StatusCode::CREATED, "/status/userInfo/username").await
    }

    async fn directly(&self, token: &Token) -> anyhow::Result<Duration> {
        let review = serde_json::json!({
            "apiVersion": "authentication.k8s.io/v1beta1",
            "kind": "TokenReview",
            "spec": { "token": token.expose(), "audiences": ["https://kubernetes.default.svc"] },
        });
        let request = self
            .webhook
            .post(&self.webhook_url)
            .body(review.to_string());
        timed(request, StatusCode::OK, "/status/user/username").await
    }
}

/// How long it takes from the request to the answer's last byte. The answer must name the user.
async fn timed(
    request: reqwest::RequestBuilder,
    expected: StatusCode,
    username: &str,
) -> anyhow::Result<Duration> {
    let request = request.header(CONTENT_TYPE, "application/json");
    let begin = Instant::now();
    let response = request.send().await?;
    let (status, version) = (response.status(), response.version());
    let body = response.text().await?;
    let elapsed = begin.elapsed();
    ensure!(status == expected, "answered {status}: {body}");
    ensure!(version == http::Version::HTTP_2, "spoke {version:?}");
    let answer: serde_json::Value = serde_json::from_str(&body)?;
    let name = answer.pointer(username).context("no user in the answer")?;
    ensure!(name == USER, "another user: {body}");
    Ok(elapsed)
}
