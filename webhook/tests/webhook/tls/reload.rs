use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rstest::rstest;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokenlab_webhook::pki::{Certificate, CertificateAuthority};
use tokenlab_webhook::reload::ReloadEvent;
use tokenlab_webhook::{Authenticator, Decision, Review, Tls, TlsFiles, User};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{ask, client, connect, der, pem, review, shown};
use crate::peer::{SERVICE, TUTORIAL, Webhook, soon};

/// A folder as the kubelet mounts a Secret: its files are links through `..data`, and an update
/// exchanges that for another folder.
struct Mounted {
    dir: TempDir,
    generation: usize,
}

impl Mounted {
    fn new(files: &[(&str, impl AsRef<[u8]>)]) -> Self {
        let dir = TempDir::new().expect("a folder");
        let mut mounted = Self { dir, generation: 0 };
        mounted.update(files);
        for (name, _) in files {
            symlink(format!("..data/{name}"), mounted.path(name)).expect("a link");
        }
        mounted
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// As `AtomicWriter.Write` does (`kubernetes/pkg/volume/util/atomic_writer.go`, v1.37.2).
    fn update(&mut self, files: &[(&str, impl AsRef<[u8]>)]) {
        let old = self.path(&format!("..{}", self.generation));
        self.generation += 1;
        let name = format!("..{}", self.generation);
        fs::create_dir(self.path(&name)).expect("a folder");
        for (file, content) in files {
            fs::write(self.path(&name).join(file), content).expect("written");
        }
        symlink(&name, self.path("..data_tmp")).expect("a link");
        fs::rename(self.path("..data_tmp"), self.path("..data")).expect("renamed");
        fs::remove_dir_all(old).ok();
    }
}

/// What is served, from files that are looked at often, and what became of their changes.
struct Reloading {
    tls: Tls,
    events: mpsc::UnboundedReceiver<ReloadEvent>,
    task: JoinHandle<()>,
}

impl Reloading {
    fn start(files: TlsFiles) -> Self {
        let (tls, reload) = files.load().expect("usable");
        let (sender, events) = mpsc::unbounded_channel();
        let reload = reload.with_interval(Duration::from_millis(5));
        let task = tokio::spawn(reload.run(move |event| sender.send(event).expect("a test")));
        Self { tls, events, task }
    }

    /// What became of the certificate.
    async fn outcome(&mut self) -> Result<(), String> {
        let (what, outcome) = self.event().await;
        assert_eq!(what, "certificate");
        outcome
    }

    async fn event(&mut self) -> (&'static str, Result<(), String>) {
        let event = soon(self.events.recv()).await.expect("it must be running");
        let outcome = event.outcome.map_err(|error| {
            let cause = std::error::Error::source(&*error).map(ToString::to_string);
            format!("{error}: {}", cause.unwrap_or_default())
        });
        (event.what, outcome)
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn serving(authority: &CertificateAuthority) -> Certificate {
    authority.serving(&[SERVICE]).expect("a certificate")
}

fn pair(certificate: &Certificate) -> [(&'static str, &str); 2] {
    [
        ("tls.crt", certificate.certificate_pem()),
        ("tls.key", certificate.key_pem()),
    ]
}

/// Names the user after the connection that the review came over.
struct Connection;

impl Authenticator for Connection {
    async fn authenticate(&self, review: &Review) -> Decision {
        let caller = review.caller.as_ref().expect("a caller");
        Decision::authenticated(User::new(caller.peer.to_string()))
    }
}

/// Posts reviews one after the other until told to stop. Gives how many there were, and over which
/// connections.
async fn post(client: reqwest::Client, url: String, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut count, mut connections) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let request = client.post(&url).header("content-type", "application/json");
        let response = request.body(TUTORIAL).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        connections.push(response.text().await.expect("UTF-8"));
        connections.dedup();
        count += 1;
    }
    (count, connections)
}

#[tokio::test]
async fn a_certificate_is_exchanged_under_load() {
    let authority = CertificateAuthority::new("test").expect("an authority");
    let mut mounted = Mounted::new(&pair(&serving(&authority)));
    let mut reloading = Reloading::start(TlsFiles::new(
        mounted.path("tls.crt"),
        mounted.path("tls.key"),
    ));
    let webhook = Webhook::over(Connection, reloading.tls.clone(), &authority).await;
    let url = webhook.url("/authenticate");
    let stop = Arc::new(AtomicBool::new(false));
    let start = |client: reqwest::ClientBuilder| {
        let client = client.build().expect("a client");
        tokio::spawn(post(client, url.clone(), Arc::clone(&stop)))
    };
    let kept = [
        start(webhook.client()),
        start(webhook.client().http1_only()),
    ];
    let fresh = start(webhook.client().http1_only().pool_max_idle_per_host(0));

    let config = client(&authority, None);
    for _ in 0..10 {
        let next = serving(&authority);
        mounted.update(&pair(&next));
        reloading.outcome().await.expect("taken");
        let mut stream = connect(webhook.address, &config).await;
        assert_eq!(*shown(stream.get_ref().1), der(next.certificate_pem()));
        review(&mut stream).await.expect("an answer");
    }

    stop.store(true, Ordering::Relaxed);
    for posting in kept {
        let (count, connections) = soon(posting).await.expect("no failure");
        assert!(count > 1, "{count} reviews");
        assert_eq!(connections.len(), 1, "{connections:?}");
    }
    let (_, connections) = soon(fresh).await.expect("no failure");
    assert!(connections.len() > 1, "{connections:?}");
}

#[tokio::test]
async fn what_is_broken_is_told_and_the_old_served() {
    let authority = CertificateAuthority::new("test").expect("an authority");
    let (first, second) = (serving(&authority), serving(&authority));
    let mut mounted = Mounted::new(&pair(&first));
    let (certificate, key) = (mounted.path("tls.crt"), mounted.path("tls.key"));
    let mut reloading = Reloading::start(TlsFiles::new(&certificate, &key));
    let webhook = Webhook::over(Connection, reloading.tls.clone(), &authority).await;
    let config = client(&authority, None);
    let cannot_serve = format!(
        "cannot serve certificate `{}` with key `{}`",
        certificate.display(),
        key.display()
    );
    let broken = [
        (pair(&second)[0], "the key does not match the certificate"),
        (("tls.crt", ""), "no certificate is in the chain's PEM"),
        (("tls.crt", "\0"), "no certificate is in the chain's PEM"),
    ];
    for (chain, cause) in broken {
        mounted.update(&[chain, pair(&first)[1]]);
        let error = reloading.outcome().await.expect_err("broken");
        assert_eq!(error, format!("{cannot_serve}: {cause}"));
        let stream = connect(webhook.address, &config).await;
        assert_eq!(*shown(stream.get_ref().1), der(first.certificate_pem()));
    }
    mounted.update(&pair(&first)[..1]);
    let error = reloading.outcome().await.expect_err("not there");
    let missing = format!("cannot read key `{}`: No such file", key.display());
    assert!(error.starts_with(&missing), "{error}");
    let before = reloading.tls.not_after();

    mounted.update(&pair(&second));
    reloading.outcome().await.expect("taken");
    let stream = connect(webhook.address, &config).await;
    assert_eq!(*shown(stream.get_ref().1), der(second.certificate_pem()));
    assert!(reloading.tls.not_after() >= before);
}

/// Who is in has to come again, and is checked by the new authority.
#[tokio::test]
async fn the_authority_of_clients_is_exchanged() {
    let authority = CertificateAuthority::new("test").expect("an authority");
    let server = serving(&authority);
    let (old, new) = (
        CertificateAuthority::new("old").expect("an authority"),
        CertificateAuthority::new("new").expect("an authority"),
    );
    let files = |clients: &CertificateAuthority| {
        let [chain, key] = pair(&server).map(|(name, content)| (name, content.to_owned()));
        [chain, key, ("ca.crt", clients.certificate_pem().to_owned())]
    };
    let mut mounted = Mounted::new(&files(&old));
    let mut paths = TlsFiles::new(mounted.path("tls.crt"), mounted.path("tls.key"));
    paths.client_ca = Some(mounted.path("ca.crt"));
    let mut reloading = Reloading::start(paths);
    let webhook = Webhook::over(Connection, reloading.tls.clone(), &authority).await;
    let certificates = [&old, &new].map(|clients| clients.client("a", &[]).expect("a client"));
    let [of_old, of_new] = certificates
        .each_ref()
        .map(|one| client(&authority, Some(pem(one))));
    let mut standing = connect(webhook.address, &of_old).await;
    ask(webhook.address, &of_old).await.expect("an answer");
    let error = ask(webhook.address, &of_new).await.expect_err("not yet");
    assert_eq!(error, "received fatal alert: UnknownCA");

    mounted.update(&files(&new));
    assert_eq!(reloading.event().await, ("client CA", Ok(())));
    ask(webhook.address, &of_new).await.expect("an answer");
    let error = ask(webhook.address, &of_old).await.expect_err("no more");
    assert_eq!(error, "received fatal alert: UnknownCA");
    let mut rest = Vec::new();
    soon(standing.read_to_end(&mut rest)).await.expect("an end");
    assert!(rest.is_empty());
}

/// Posts until it has come again twice.
async fn come_again(client: reqwest::Client, url: String) {
    let mut connections = Vec::new();
    while connections.len() < 3 {
        let request = client.post(&url).header("content-type", "application/json");
        let response = request.body(TUTORIAL).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        connections.push(response.text().await.expect("UTF-8"));
        connections.dedup();
    }
}

#[tokio::test]
async fn no_review_is_lost_where_clients_have_to_come_again() {
    let new = || CertificateAuthority::new("test").expect("an authority");
    let (authority, clients) = (new(), new());
    let server = serving(&authority);
    let [chain, key] = pair(&server);
    let mut mounted = Mounted::new(&[chain, key, ("ca.crt", clients.certificate_pem())]);
    let mut paths = TlsFiles::new(mounted.path("tls.crt"), mounted.path("tls.key"));
    paths.client_ca = Some(mounted.path("ca.crt"));
    let mut reloading = Reloading::start(paths);
    let webhook = Webhook::over(Connection, reloading.tls.clone(), &authority).await;
    let certificate = clients.client("a", &[]).expect("a client");
    let identity = certificate.key_pem().to_owned() + certificate.certificate_pem();
    let start = |client: reqwest::ClientBuilder| {
        let identity = reqwest::Identity::from_pem(identity.as_bytes()).expect("PEM");
        let client = client.identity(identity).build().expect("a client");
        tokio::spawn(come_again(client, webhook.url("/authenticate")))
    };
    let posting = [
        start(webhook.client()),
        start(webhook.client().http1_only()),
    ];
    let exchange = async {
        while !posting.iter().all(JoinHandle::is_finished) {
            let both = clients.certificate_pem().to_owned() + new().certificate_pem();
            mounted.update(&[chain, key, ("ca.crt", &both)]);
            assert_eq!(reloading.event().await, ("client CA", Ok(())));
        }
    };
    soon(exchange).await;
    for posting in posting {
        posting.await.expect("no failure");
    }
}

/// Whom nobody trusts any more is shut out, whatever else is broken; and the other way round.
#[rstest]
#[case::certificate("tls.crt", "certificate")]
#[case::client_ca("ca.crt", "client CA")]
#[tokio::test]
async fn one_is_taken_though_the_other_is_broken(#[case] broken: &str, #[case] what: &str) {
    // The authority of the server, and that of its clients.
    let new = || ["server", "clients"].map(|name| CertificateAuthority::new(name).expect("one"));
    let files = |[server, clients]: &[CertificateAuthority; 2]| {
        let server = serving(server);
        let [chain, key] = pair(&server).map(|(name, content)| (name, content.to_owned()));
        [chain, key, ("ca.crt", clients.certificate_pem().to_owned())]
    };
    let (old, new) = (new(), new());
    let mut mounted = Mounted::new(&files(&old));
    let mut paths = TlsFiles::new(mounted.path("tls.crt"), mounted.path("tls.key"));
    paths.client_ca = Some(mounted.path("ca.crt"));
    let mut reloading = Reloading::start(paths);
    let mut next = files(&new);
    let broken = next.iter_mut().find(|(name, _)| *name == broken);
    broken.expect("a file").1.clear();
    mounted.update(&next);
    for _ in 0..2 {
        let (of, outcome) = reloading.event().await;
        assert_eq!(outcome.is_err(), of == what, "{of}: {outcome:?}");
    }

    let (server, clients) = match what {
        "certificate" => (&old[0], &new[1]),
        _ => (&new[0], &old[1]),
    };
    let webhook = Webhook::over(Connection, reloading.tls.clone(), server).await;
    let certificate = clients.client("a", &[]).expect("a client");
    let answer = ask(webhook.address, &client(server, Some(pem(&certificate)))).await;
    assert_eq!(answer.as_deref(), Ok("HTTP/1.1 200 OK"));
}

/// As a clock that is behind sees one that was made a moment ago.
#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_taken_when_it_is() {
    let authority = CertificateAuthority::new("test").expect("an authority");
    let mut mounted = Mounted::new(&pair(&serving(&authority)));
    let files = TlsFiles::new(mounted.path("tls.crt"), mounted.path("tls.key"));
    let mut reloading = Reloading::start(files);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::now_utc() + Duration::from_secs(3);
    let certificate = params.self_signed(&key).expect("a certificate");
    mounted.update(&[
        ("tls.crt", certificate.pem()),
        ("tls.key", key.serialize_pem()),
    ]);
    while let Err(error) = reloading.outcome().await {
        assert!(error.contains("is not valid before"), "{error}");
        assert!(reloading.tls.not_before() < OffsetDateTime::now_utc());
    }
    let not_before = reloading.tls.not_before();
    assert_eq!(
        not_before.unix_timestamp(),
        params.not_before.unix_timestamp()
    );
}
